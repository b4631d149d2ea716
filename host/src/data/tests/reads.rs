//! The SQL and the errors of reads.

use super::{code_and_message, read, schema, sql_and_params};

#[test]
fn filters_are_rendered_as_sql() {
    let check = |query: &str, expected: &str| {
        let sql = sql_and_params(&read("books", &format!("select=id&{query}")).unwrap());
        let (_, condition) = sql.split_once(" WHERE ").unwrap();
        let condition = condition.replace(" LIMIT 101", "");
        assert_eq!(condition, expected, "{query}");
    };
    check("eq.title=a", "t.\"title\" = $1::pg_catalog.text -- a");
    check("neq.price=1.50", "t.\"price\" <> $1::pg_catalog.\"numeric\" -- 1.50");
    check(
        "gte.price=1&lt.price=2",
        "t.\"price\" >= $1::pg_catalog.\"numeric\" AND t.\"price\" < $2::pg_catalog.\"numeric\" -- 1 | 2",
    );
    check("not.gt.id=1", "NOT (t.\"id\" > $1::pg_catalog.int8) -- 1");
    check("neq.code=ab", "t.\"code\" <> $1::pg_catalog.bpchar -- ab");
    check("in.id=1,2", "t.\"id\" = ANY ($1::pg_catalog.int8[]) -- {\"1\",\"2\"}");
    check("in.mood=sad", "t.\"mood\" = ANY ($1::public.mood[]) -- {\"sad\"}");
    check("like.title=%25x", "t.\"title\" LIKE $1::text -- %x");
    check("not.ilike.code=x", "NOT (t.\"code\" ILIKE $1::text) -- x");
    check("is.price=null", "t.\"price\" IS NULL");
    check("is.price=NULL", "t.\"price\" IS NULL");
    check("not.is.active=True", "NOT (t.\"active\" IS TRUE)");
    check("not.is.active=true", "NOT (t.\"active\" IS TRUE)");
    check("cs.tags={a,b}", "t.\"tags\" @> $1::pg_catalog._text -- {a,b}");
    check("cd.tags=[\"a,b\"]", "t.\"tags\" <@ $1::pg_catalog._text -- {\"a,b\"}");
    check("ov.tags={a}", "t.\"tags\" && $1::pg_catalog._text -- {a}");
    // Arrays are also accepted as JSON, but text that looks like an array stays text.
    check("eq.tags=[\"a\",null]", "t.\"tags\" = $1::pg_catalog._text -- {\"a\",NULL}");
    check("neq.tags={a}", "t.\"tags\" <> $1::pg_catalog._text -- {a}");
    check("eq.tags=[2:3]={a,b}", "t.\"tags\" = $1::pg_catalog._text -- [2:3]={a,b}");
    check("eq.tags=[\"]={\"]", "t.\"tags\" = $1::pg_catalog._text -- {\"]={\"}");
    check("eq.title=[1]", "t.\"title\" = $1::pg_catalog.text -- [1]");
    check(
        "not.in.tags=\"{a}\",\"[\"\"b\"\"]\"",
        "NOT (t.\"tags\" = $1::pg_catalog._text OR t.\"tags\" = $2::pg_catalog._text) -- {a} | {\"b\"}",
    );
    check("in.tags=", "(t.\"tags\" IS NULL AND NOT (t.\"tags\" IS NULL))");
    check("cs.details={\"a\":1}", "t.\"details\" @> $1::pg_catalog.jsonb -- {\"a\":1}");
    check("ov.details=[\"a\"]", "t.\"details\" ?| $1::text[] -- {\"a\"}");
    check("cs.pages=5", "t.\"pages\" @> $1::pg_catalog.int4 -- 5");
    check("ov.pages=[1,5)", "t.\"pages\" && $1::pg_catalog.int4range -- [1,5)");
    check("fts.title=a b", "to_tsvector(t.\"title\") @@ websearch_to_tsquery($1::text) -- a b");
    check("fts.words=a", "t.\"words\" @@ websearch_to_tsquery($1::text) -- a");
    check("eq.details={}", "t.\"details\" = $1::pg_catalog.jsonb -- {}");
    check(
        "or=(eq.title:a,and(gt.price:1,not.or(is.mood:null,in.code:(x,y))))&eq.active=true",
        "(t.\"title\" = $1::pg_catalog.text OR (t.\"price\" > $2::pg_catalog.\"numeric\" AND NOT (t.\"mood\" IS NULL \
         OR \
         t.\"code\" = ANY ($3::pg_catalog.bpchar[])))) AND t.\"active\" = $4::pg_catalog.bool -- a | 1 | \
         {\"x\",\"y\"} | true",
    );
}

#[test]
fn types_of_other_schemas_use_their_own_operators() {
    let check = |query: &str, expected: &str| {
        let sql = sql_and_params(&read("users", &format!("select=email&{query}")).unwrap());
        let (_, condition) = sql.split_once(" WHERE ").unwrap();
        let condition = condition.replace(" LIMIT 101", "");
        assert_eq!(condition, expected, "{query}");
    };
    check("neq.email=A", "t.\"email\" OPERATOR(extensions.<>) $1::extensions.citext -- A");
    check("in.email=A,b", "t.\"email\" OPERATOR(extensions.=) ANY ($1::extensions.citext[]) -- {\"A\",\"b\"}");
    check("like.email=a%25", "t.\"email\" OPERATOR(extensions.~~) $1::text -- a%");
    check("not.ilike.email=a", "NOT (t.\"email\" OPERATOR(extensions.~~*) $1::text) -- a");
    check("eq.email=a", "t.\"email\" OPERATOR(extensions.=) $1::extensions.citext -- a");
}

#[test]
fn reads_are_rendered_as_sql() {
    let check = |table: &str, query: &str, expected: &str| {
        assert_eq!(sql_and_params(&read(table, query).unwrap()), expected, "{query}");
    };
    check("authors", "", "SELECT t.\"id\", t.\"name\", t.\"boss_id\" FROM \"public\".\"authors\" AS t LIMIT 101");
    // At most one row matches, so there is no limit.
    check(
        "authors",
        "select=name&eq.id=7&limit=1",
        "SELECT t.\"name\" FROM \"public\".\"authors\" AS t WHERE t.\"id\" = $1::pg_catalog.int8 -- 7",
    );
    check(
        "cities",
        "select=rank&eq.name=a&eq.country=b",
        "SELECT t.\"rank\" FROM \"public\".\"cities\" AS t WHERE t.\"name\" = $1::pg_catalog.text AND t.\"country\" = \
         $2::pg_catalog.text -- a | b",
    );
    check(
        "odd \"table",
        "select=r,x:select",
        "SELECT t.\"r\", t.\"select\" FROM \"public\".\"odd \"\"table\" AS t LIMIT 101",
    );
    // Each column is returned in the form from which its JSON is built.
    check(
        "books",
        "select=title,price,tags,details,mood,place,created_at",
        "SELECT t.\"title\", t.\"price\"::text, pg_catalog.to_json(t.\"tags\"), t.\"details\", t.\"mood\"::text, \
         pg_catalog.to_json(t.\"place\"), t.\"created_at\" FROM \"public\".\"books\" AS t LIMIT 101",
    );
    // With the total, Postgres builds the JSON of the rows.
    check(
        "authors",
        "select=id&count=exact",
        "SELECT r.*, c.total FROM (SELECT count(*) AS total FROM \"public\".\"authors\" AS t) c LEFT JOIN (SELECT \
         row_to_json(r.*) AS json FROM (SELECT t.\"id\" FROM \"public\".\"authors\" AS t LIMIT 101) r) r ON true",
    );
    check(
        "authors",
        "select=id&order=boss_id.desc.nullslast,name&limit=5&offset=10&count=exact",
        "SELECT r.*, c.total FROM (SELECT count(*) AS total FROM \"public\".\"authors\" AS t) c LEFT JOIN (SELECT \
         (SELECT row_to_json(r.*) FROM (SELECT t.\"id\") r) AS json, t.\"boss_id\"::text AS k0, t.\"name\"::text AS k1 \
         FROM \"public\".\"authors\" AS t ORDER BY t.\"boss_id\" DESC NULLS LAST, t.\"name\" LIMIT 6 OFFSET $1::int8) \
         r ON true -- 10",
    );
    check(
        "authors",
        "select=id&order=name&limit=5",
        "SELECT t.\"id\", t.\"name\"::text AS k0 FROM \"public\".\"authors\" AS t ORDER BY t.\"name\" LIMIT 6",
    );
    check(
        "authors",
        "select=id&order=id.desc.nullslast&limit=2",
        "SELECT t.\"id\" FROM \"public\".\"authors\" AS t ORDER BY t.\"id\" DESC LIMIT 3",
    );
    check("authors", "select=id&limit=0", "SELECT t.\"id\" FROM \"public\".\"authors\" AS t LIMIT 0");
}

#[test]
fn embedded_arrays_are_rendered_as_joins_that_report_cuts() {
    let check = |table: &str, query: &str, expected: &str| {
        assert_eq!(sql_and_params(&read(table, query).unwrap()), expected, "{query}");
    };
    check(
        "authors",
        "select=books!books_editor_id_fkey(id)",
        "SELECT (SELECT row_to_json(r.*) FROM (SELECT e1.json AS \"books\") r) AS json, coalesce(e1.cut, 0) AS cut \
         FROM (SELECT t.\"id\" FROM \"public\".\"authors\" AS t LIMIT 101) AS t LEFT JOIN LATERAL (SELECT \
         coalesce(json_agg(r.json) FILTER (WHERE r.number <= 1000), '[]') AS json, CASE WHEN count(*) > 1000 THEN \
         1::int8 ELSE 0 END AS cut FROM (SELECT (SELECT row_to_json(r.*) FROM (SELECT t1.\"id\") r) AS json, \
         row_number() OVER () AS number FROM (SELECT t1.\"id\" FROM \"public\".\"books\" AS t1 WHERE \
         t1.\"editor_id\" = t.\"id\" ORDER BY t1.\"id\" LIMIT 1001) AS t1) r) e1 ON true",
    );
    check(
        "cities",
        "select=name,s:streets(id,cities(rank))&s.limit=5&s.offset=2&s.order=id.desc&gt.s.id=3&eq.s.cities.name=x\
         &eq.rank=1",
        "SELECT (SELECT row_to_json(r.*) FROM (SELECT t.\"name\", e1.json AS \"s\") r) AS json, coalesce(e1.cut, 0) \
         AS cut FROM (SELECT t.\"name\", t.\"country\" FROM \"public\".\"cities\" AS t WHERE t.\"rank\" = \
         $1::pg_catalog.int4 LIMIT 101) AS t LEFT JOIN LATERAL (SELECT coalesce(json_agg(r.json) FILTER (WHERE \
         r.number <= 5), '[]') AS json, CASE WHEN count(*) > 5 THEN 1::int8 ELSE 0 END AS cut FROM (SELECT (SELECT \
         row_to_json(r.*) FROM (SELECT t1.\"id\", (SELECT row_to_json(r.*) FROM (SELECT t2.\"rank\" FROM \
         \"public\".\"cities\" AS t2 WHERE t2.\"country\" = t1.\"country\" AND t2.\"name\" = t1.\"city\" AND \
         t2.\"name\" = $2::pg_catalog.text LIMIT 1) r) AS \"cities\") r) AS json, row_number() OVER () AS number \
         FROM (SELECT t1.\"id\", t1.\"country\", t1.\"city\" FROM \"public\".\"streets\" AS t1 WHERE \
         t1.\"country\" = t.\"country\" AND t1.\"city\" = t.\"name\" AND t1.\"id\" > $3::pg_catalog.int8 ORDER BY \
         t1.\"id\" DESC LIMIT 6 OFFSET $4::int8) AS t1) r) e1 ON true -- 1 | x | 3 | 2",
    );
}

#[test]
fn embedded_objects_are_rendered_as_subqueries() {
    let check = |table: &str, query: &str, expected: &str| {
        let sql = sql_and_params(&read(table, query).unwrap());
        assert_eq!(sql, format!("SELECT {expected} LIMIT 101"), "{query}");
    };
    check(
        "books",
        "select=id,author:authors!author_id(name)",
        "t.\"id\", (SELECT row_to_json(r.*) FROM (SELECT t1.\"name\" FROM \"public\".\"authors\" AS t1 WHERE \
         t1.\"id\" = t.\"author_id\" LIMIT 1) r) \
         AS \"author\" FROM \"public\".\"books\" AS t",
    );
    // If the referring column is unique, at most one row refers back.
    check(
        "authors",
        "select=profiles(bio)",
        "(SELECT row_to_json(r.*) FROM (SELECT t1.\"bio\" FROM \"public\".\"profiles\" AS t1 WHERE t1.\"author_id\" = \
         t.\"id\" LIMIT 1) r) \
         AS \"profiles\" FROM \"public\".\"authors\" AS t",
    );
    // A table that refers to itself: the column stands for the referenced row, the constraint for the referring rows.
    check(
        "authors",
        "select=boss:authors!boss_id(name)",
        "(SELECT row_to_json(r.*) FROM (SELECT t1.\"name\" FROM \"public\".\"authors\" AS t1 WHERE t1.\"id\" = \
         t.\"boss_id\" LIMIT 1) r) \
         AS \"boss\" FROM \"public\".\"authors\" AS t",
    );
}

#[test]
fn constraint_of_a_table_that_refers_to_itself_embeds_the_referring_rows() {
    let sql = sql_and_params(&read("authors", "select=team:authors!authors_boss_id_fkey(name)").unwrap());
    let rows = "SELECT t1.\"name\", t1.\"id\" FROM \"public\".\"authors\" AS t1 WHERE t1.\"boss_id\" = t.\"id\"";
    assert!(sql.contains("e1.json AS \"team\""), "{sql}");
    assert!(sql.contains(rows) || sql.contains(&rows.replace(", t1.\"id\"", "")), "{sql}");
}

#[test]
fn cursors_are_rendered_as_conditions() {
    let check = |table: &str, order: &str, key: &[Option<&str>], expected: &str| {
        let query = format!("select=*&order={order}&limit=2&after={}", cursor(table, order, key));
        let sql = sql_and_params(&read(table, &query).unwrap());
        let condition = sql.split_once(" WHERE ").unwrap().1.split_once(" ORDER BY ").unwrap().0;
        let params = sql.split_once(" -- ").unwrap().1;
        assert_eq!(format!("{condition} -- {params}"), expected, "{order}");
    };
    check("authors", "id", &[Some("7")], "t.\"id\" > $1::pg_catalog.int8 -- 7");
    check("authors", "id.desc,name", &[Some("7")], "t.\"id\" < $1::pg_catalog.int8 -- 7");
    check(
        "cities",
        "country,name",
        &[Some("a"), Some("b")],
        "(t.\"country\", t.\"name\") > ($1::pg_catalog.text, $2::pg_catalog.text) -- a | b",
    );
    check(
        "cities",
        "country.desc,name",
        &[Some("a"), Some("b")],
        "((t.\"country\" < $1::pg_catalog.text) OR (t.\"country\" = $2::pg_catalog.text AND t.\"name\" > \
         $3::pg_catalog.text)) -- a | a | b",
    );
    check(
        "authors",
        "boss_id,id",
        &[Some("1"), Some("2")],
        "(((t.\"boss_id\" > $1::pg_catalog.int8 OR t.\"boss_id\" IS NULL)) OR (t.\"boss_id\" = $2::pg_catalog.int8 \
         AND t.\"id\" > $3::pg_catalog.int8)) -- 1 | 1 | 2",
    );
    check(
        "authors",
        "boss_id,id",
        &[None, Some("2")],
        "((t.\"boss_id\" IS NULL AND t.\"id\" > $1::pg_catalog.int8)) -- 2",
    );
    check(
        "authors",
        "boss_id.desc,id",
        &[None, Some("2")],
        "((t.\"boss_id\" IS NOT NULL) OR (t.\"boss_id\" IS NULL AND t.\"id\" > $1::pg_catalog.int8)) -- 2",
    );
    check("users", "email.desc", &[Some("a")], "t.\"email\" OPERATOR(extensions.<) $1::extensions.citext -- a");
    // A row comparison would use one operator for both columns.
    check(
        "users",
        "country,email",
        &[Some("x"), Some("a")],
        "((t.\"country\" > $1::pg_catalog.text) OR (t.\"country\" = $2::pg_catalog.text AND t.\"email\" \
         OPERATOR(extensions.>) $3::extensions.citext)) -- x | x | a",
    );
}

fn cursor(table: &str, order: &str, key: &[Option<&str>]) -> String {
    use crate::data::{DataLimits, cursor, plan::plan_read, request::ReadRequest};
    let schema = schema();
    let request = ReadRequest::parse(&format!("order={order}")).unwrap();
    let plan = plan_read(schema, table, &request, &DataLimits::default()).unwrap();
    let key = key.iter().map(|value| value.map(std::borrow::Cow::Borrowed)).collect();
    cursor::encode_texts(&plan.keyset.unwrap().signature, key).unwrap()
}

#[test]
fn errors_name_the_invalid_part() {
    let check = |table: &str, query: &str, expected: &str| {
        let message = code_and_message(&read(table, query).unwrap_err());
        assert!(message.contains(expected), "{table}?{query}: {message}");
    };
    check(
        "nothing",
        "",
        "unknown_table: Unknown table `nothing`. Tables that this key can access: authors, books, cities,",
    );
    check("Authors", "", "unknown_table");
    check("authors", "select=nam", "unknown_column: `authors` has no column `nam`. Columns: id, name, boss_id.");
    check("authors", "eq.nam=1", "unknown_column");
    check("authors", "order=nam", "unknown_column");
    check("authors", "or=(eq.nam:1)", "unknown_column");
    check("secrets", "", "forbidden: This key may not read `secrets`");
    check("authors", "select=name,name", "the name `name` twice");
    check("authors", "select=*,x:id,x:name", "the name `x` twice");
    // The error names the first name in `select` that occurs twice.
    check("authors", "select=*,*", "the name `id` twice");
    check("authors", "select=name,id,id,name", "the name `id` twice");
    check("authors", &format!("select={}:id", "x".repeat(64)), "longer than 63 bytes");
    check("authors", "select=*,a:id,b:id,c:id,d:id", "`select` contains column `id` 5 times; the maximum is 4.");
    check("authors", "select=profiles(a:bio,b:bio,c:bio,d:bio,bio)", "column `bio` 5 times");
    check("books", "eq.raw={}", "`eq` can't be used on column `raw` of type json");
    check("books", "eq.place=1,2", "`eq` can't be used on column `place`");
    check("rooms", "lt.area=(1,1),(0,0)", "of type box: the type has no order. Supported: eq, neq, in, is.");
    check("books", "order=place", "`order` can't use column `place`");
    check("books", "like.id=1", "`like` can't be used on column `id` of type bigint: it requires a text column");
    check("books", "cs.title=a", "it requires an array, jsonb, hstore or range column");
    check("books", "cs.tags=[1", "invalid_value: `cs.tags` requires an array");
    check("books", "eq.tags=[1", "invalid_value: `eq.tags` requires an array");
    check(
        "books",
        "cs.tags=[{\"a\":1}]",
        "invalid_value: Column `tags` expects text[]: the value contains an array or",
    );
    check("books", "ov.details={\"pages\":304}", "invalid_value: `ov.details` requires an array of keys, for example");
    check("books", "ov.details=pages", "`ov.details` requires an array of keys");
    check("books", "fts.id=a", "requires a text or tsvector column");
    check("books", "like.title=a%5C", "invalid_value: The pattern of `like.title` ends in a single backslash");
    check("books", "ilike.title=%5C%5C%5C", "ends in a single backslash");
    check("books", "is.id=nothing", "must be one of null, true, false, unknown");
    check("books", "is.title=true", "only supports the value null");
    check("books", "after=x", "`after` requires an `order` that contains a unique key of `books`. Unique keys: (id).");
    check("books", "after=x&order=code", "`after` requires an `order`");
    check("streets", "after=x&order=id", "`after` can't be used: `streets` has no unique key");
    check("books", "after=x&order=id", "invalid_cursor");
    check("books", "after=x&order=id&offset=1", "can't be used together");
    check("authors", &format!("order=id&after={}", cursor("authors", "id", &[None])), "invalid_cursor");
    check(
        "authors",
        &format!("order=id.desc&after={}", cursor("authors", "id", &[Some("1")])),
        "another table or order",
    );
    check(
        "books",
        "select=authors(name)",
        "unknown_relation: `books` and `authors` are related by more than one foreign key",
    );
    check("authors", "select=authors(id)", "`authors` refers to itself, so its rows can be embedded in two directions");
    check("books", "select=authors!nothing(name)", "has the name or column `nothing`");
    check(
        "books",
        "select=streets(id)",
        "No foreign key connects `books` to a table `streets`. Tables related to `books`: authors.",
    );
    check("streets", "select=nothing(id)", "Tables related to `streets`: cities.");
    check("authors", "select=profiles(nothing)", "`profiles` has no column `nothing`");
}

#[test]
fn ambiguous_embed_lists_the_choices() {
    let choices = |table: &str, query: &str| read(table, query).unwrap_err().hint().unwrap().to_owned();
    assert_eq!(choices("books", "select=authors(name)"), "Use one of authors!author_id(…), authors!editor_id(…).");
    assert_eq!(
        choices("authors", "select=books(id)"),
        "Use one of books!books_author_id_fkey(…), books!books_editor_id_fkey(…)."
    );
    assert_eq!(
        choices("authors", "select=authors(id)"),
        "Use one of authors!boss_id(…), authors!authors_boss_id_fkey(…)."
    );
    // Both tables refer to the other one with a column of the same name.
    assert_eq!(
        choices("lefts", "select=rights(id)"),
        "Use one of rights!lefts_pair_id_fkey(…), rights!rights_pair_id_fkey(…)."
    );
    for constraint in ["lefts_pair_id_fkey", "rights_pair_id_fkey"] {
        read("lefts", &format!("select=rights!{constraint}(id)")).unwrap();
    }
}
