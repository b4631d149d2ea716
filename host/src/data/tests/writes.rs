//! The SQL and the errors of inserts, updates and deletes.

use super::{code_and_message, delete, insert, sql_and_params, update};
use crate::data::{
    plan::{GroupRows, plan_insert},
    request::InsertRequest,
};

#[test]
fn inserts_are_rendered_as_sql() {
    let check = |table: &str, query: &str, body: &str, expected: &str| {
        assert_eq!(sql_and_params(&insert(table, query, body).unwrap()), expected, "{query} {body}");
    };
    // One row: each value is a parameter; columns are in the table's order, not the request's.
    check(
        "authors",
        "",
        r#"{"rows":[{"boss_id":12345678901234567890,"name":"a\"b"}]}"#,
        "INSERT INTO \"public\".\"authors\" AS t (\"name\", \"boss_id\") VALUES ($1::pg_catalog.text, \
         $2::pg_catalog.int8) \
         RETURNING CASE WHEN \
         pg_catalog.pg_column_size(row_to_json(t.*)) > 1000 THEN pg_catalog.to_json(('atlashub_returned_bytes:' \
         || pg_catalog.pg_column_size(row_to_json(t.*))::text)::int4) ELSE row_to_json(t.*) END \
         -- a\"b | 12345678901234567890",
    );
    check(
        "books",
        "select=id&returning=representation",
        r#"{"rows":[{"author_id":1,"title":null,"tags":["a"],"details":{"a": 1.0},"raw":"x","active":true}]}"#,
        "INSERT INTO \"public\".\"books\" AS t (\"author_id\", \"title\", \"tags\", \"details\", \"raw\", \"active\") \
         VALUES \
         ($1::pg_catalog.int8, $2::pg_catalog.text, (SELECT x.v FROM json_to_record($3::json) AS x(v \
         pg_catalog._text)), \
         $4::pg_catalog.jsonb, $5::pg_catalog.json, $6::pg_catalog.bool) RETURNING (SELECT CASE WHEN \
         pg_catalog.pg_column_size(x.a) > 1000 THEN pg_catalog.to_json(('atlashub_returned_bytes:' || \
         pg_catalog.pg_column_size(x.a)::text)::int4) ELSE x.a END FROM (SELECT row_to_json(r.*) AS a FROM (SELECT \
         t.\"id\") r OFFSET 0) x) \
         -- 1 | NULL | {\"v\":[\"a\"]} | {\"a\": 1.0} | \"x\" | true",
    );
    check(
        "authors",
        "",
        r#"{"rows":[{}]}"#,
        "INSERT INTO \"public\".\"authors\" AS t DEFAULT VALUES RETURNING CASE WHEN \
         pg_catalog.pg_column_size(row_to_json(t.*)) > 1000 THEN pg_catalog.to_json(('atlashub_returned_bytes:' \
         || pg_catalog.pg_column_size(row_to_json(t.*))::text)::int4) ELSE row_to_json(t.*) END",
    );
    check(
        "authors",
        "returning=minimal",
        r#"{"rows":[{},{}]}"#,
        "WITH g0 AS (INSERT INTO \"public\".\"authors\" AS t SELECT FROM generate_series(1, $1::int4) RETURNING 1) \
         SELECT NULL::json, (SELECT count(*) FROM g0) -- 2",
    );
    // All rows have the same keys: the array is passed on unchanged.
    check(
        "authors",
        "select=name",
        r#"{"rows": [{"name":"a"}, {"name":"b"}] }"#,
        "WITH g0 AS (INSERT INTO \"public\".\"authors\" AS t (\"name\") SELECT x.\"name\" FROM \
         json_to_recordset($1::json) AS \
         x(\"name\" pg_catalog.text) RETURNING t.\"name\") SELECT x.*, CASE WHEN \
         coalesce(pg_catalog.pg_column_size(x.a0)::int8, 0) > 1000 THEN ('atlashub_returned_bytes:' || \
         (coalesce(pg_catalog.pg_column_size(x.a0)::int8, 0))::text)::int4 END FROM \
         (SELECT (SELECT json_agg(g0.*) FROM g0) AS a0, (SELECT count(*) FROM g0) AS n0 OFFSET 0) x \
         -- [{\"name\":\"a\"}, {\"name\":\"b\"}]",
    );
    // Rows with different keys are listed, so that they are inserted in the order of the request.
    check(
        "authors",
        "returning=minimal",
        r#"{"rows":[{"name":"a"},{"boss_id":null,"name":"b"},{}]}"#,
        "WITH g0 AS (INSERT INTO \"public\".\"authors\" AS t (\"name\", \"boss_id\") VALUES ($1::pg_catalog.text, \
         DEFAULT), ($2::pg_catalog.text, $3::pg_catalog.int8), (DEFAULT, DEFAULT) RETURNING 1) SELECT NULL::json, \
         (SELECT count(*) FROM g0) -- a | b | NULL",
    );
    // A merging upsert updates only the columns that a row contains, so consecutive rows with the same keys are one
    // subquery.
    check(
        "authors",
        "returning=minimal&onConflict=name",
        r#"{"rows":[{"name":"a"},{"name":"b"},{"name":"c","boss_id":1},{"name":"d"}]}"#,
        "WITH g0 AS (INSERT INTO \"public\".\"authors\" AS t (\"name\") SELECT x.\"name\" FROM \
         json_to_recordset($1::json) AS x(\"name\" pg_catalog.text) ON CONFLICT (\"name\") DO UPDATE SET \"name\" = \
         EXCLUDED.\"name\" RETURNING 1), g1 AS (INSERT INTO \"public\".\"authors\" AS t (\"name\", \"boss_id\") \
         VALUES ($2::pg_catalog.text, $3::pg_catalog.int8) ON CONFLICT (\"name\") DO UPDATE SET \"boss_id\" = \
         EXCLUDED.\"boss_id\" RETURNING 1), g2 AS (INSERT INTO \"public\".\"authors\" AS t (\"name\") VALUES \
         ($4::pg_catalog.text) ON CONFLICT (\"name\") DO UPDATE SET \"name\" = EXCLUDED.\"name\" RETURNING 1) SELECT \
         NULL::json, (SELECT count(*) FROM g0), NULL::json, (SELECT count(*) FROM g1), NULL::json, (SELECT count(*) \
         FROM g2) -- [{\"name\":\"a\"},{\"name\":\"b\"}] | c | 1 | d",
    );
}

/// Returns a body of rows, of which every other one has one more key.
fn alternating_rows(count: usize) -> String {
    let row = |number: usize| match number % 2 {
        0 => format!("{{\"title\":\"{number}\",\"tags\":[]}}"),
        _ => format!("{{\"title\":\"{number}\",\"tags\":[],\"price\":1}}"),
    };
    format!("{{\"rows\":[{}]}}", (0..count).map(row).collect::<Vec<_>>().join(","))
}

#[test]
fn number_of_parameters_and_subqueries_of_an_insert_is_bounded() {
    let check = |query: &str, rows: usize, params: usize, inserts: usize| {
        let statement = insert("books", query, &alternating_rows(rows)).unwrap();
        let counted = (statement.params.len(), statement.text.matches("INSERT INTO").count());
        assert_eq!(counted, (params, inserts), "{query}, {rows} rows");
        assert!(!statement.cacheable, "{query}, {rows} rows");
    };
    check("", 1000, 2500, 1);
    check("onConflict=code&resolution=ignore", 1000, 2500, 1);
    // Consecutive rows never have the same keys here. Up to 200 rows are one subquery each. With more rows, all rows
    // with the same keys are one subquery.
    check("onConflict=code", 200, 500, 200);
    check("onConflict=code", 201, 2, 2);
}

#[test]
fn rows_with_too_many_values_are_not_listed() {
    // An array counts as 30 values, so a row counts as 32. The maximum is 50 000.
    let schema = super::schema();
    let count = |rows: usize| {
        let body = alternating_rows(rows);
        let request = InsertRequest::parse("", body.as_bytes(), 10_000).unwrap();
        let plan = plan_insert(schema, "books", &request).unwrap();
        (plan.groups.len(), matches!(plan.groups[0].rows, GroupRows::Listed(_)))
    };
    assert_eq!(count(1562), (1, true));
    assert_eq!(count(1563), (2, false));
}

#[test]
fn upserts_are_rendered_as_sql() {
    let check = |query: &str, body: &str, expected: &str| {
        let sql = insert("authors", &format!("returning=minimal&{query}"), body).unwrap().text.to_string();
        let conflict = sql.split_once(" ON CONFLICT ").unwrap().1.split_once(" RETURNING").unwrap().0;
        assert_eq!(conflict, expected, "{query}");
    };
    let body = r#"{"rows":[{"name":"a","boss_id":1}]}"#;
    check("onConflict=name", body, "(\"name\") DO UPDATE SET \"boss_id\" = EXCLUDED.\"boss_id\"");
    check("onConflict=name&resolution=ignore", body, "(\"name\") DO NOTHING");
    check("onConflict=name", r#"{"rows":[{"name":"a"}]}"#, "(\"name\") DO UPDATE SET \"name\" = EXCLUDED.\"name\"");
    check("resolution=ignore", body, " DO NOTHING");
    check(
        "resolution=merge",
        body,
        "(\"id\") DO UPDATE SET \"name\" = EXCLUDED.\"name\", \"boss_id\" = EXCLUDED.\"boss_id\"",
    );
}

#[test]
fn merge_updates_key_columns_whose_equal_values_can_be_written_differently() {
    let body = r#"{"rows":[{"email":"ANN@x","country":"a"}]}"#;
    let sql = insert("users", "onConflict=email", body).unwrap().text.to_string();
    let assigned = "DO UPDATE SET \"email\" = EXCLUDED.\"email\", \"country\" = EXCLUDED.\"country\" RETURNING";
    assert!(sql.contains(assigned), "{sql}");
}

#[test]
fn updates_and_deletes_are_rendered_as_sql() {
    let check = |sql: String, expected: &str| assert_eq!(sql, expected);
    check(
        sql_and_params(&update("authors", "eq.id=1", r#"{"values":{"name":"x","boss_id":null}}"#).unwrap()),
        "UPDATE \"public\".\"authors\" AS t SET \"name\" = $1::pg_catalog.text, \"boss_id\" = $2::pg_catalog.int8 \
         WHERE t.\"id\" = $3::pg_catalog.int8 RETURNING CASE WHEN \
         pg_catalog.pg_column_size(row_to_json(t.*)) > 1000 THEN pg_catalog.to_json(('atlashub_returned_bytes:' \
         || pg_catalog.pg_column_size(row_to_json(t.*))::text)::int4) ELSE row_to_json(t.*) END -- x | NULL | 1",
    );
    check(
        sql_and_params(&update("authors", "gt.id=1&maxAffected=3&select=id", r#"{"values":{"name":"x"}}"#).unwrap()),
        "WITH g0 AS (UPDATE \"public\".\"authors\" AS t SET \"name\" = $1::pg_catalog.text WHERE t.\"id\" > \
         $2::pg_catalog.int8 \
         RETURNING t.\"id\") SELECT x.*, CASE WHEN \
         coalesce(pg_catalog.pg_column_size(x.a0)::int8, 0) > 1000 THEN ('atlashub_returned_bytes:' || \
         (coalesce(pg_catalog.pg_column_size(x.a0)::int8, 0))::text)::int4 END FROM \
         (SELECT (SELECT json_agg(r.*) FROM (SELECT * FROM g0 LIMIT 10000) r) AS a0, count(*) AS n0, \
         CASE WHEN count(*) > $3::int8 THEN ('atlashub_max_affected:' || count(*))::int4 END FROM g0 OFFSET 0) x \
         -- x | 1 | 3",
    );
    check(
        sql_and_params(&delete("authors", "eq.id=1&maxAffected=1").unwrap()),
        "DELETE FROM \"public\".\"authors\" AS t WHERE t.\"id\" = $1::pg_catalog.int8 RETURNING 1 -- 1",
    );
    check(
        sql_and_params(&delete("authors", "eq.id=1&maxAffected=0").unwrap()),
        "WITH g0 AS (DELETE FROM \"public\".\"authors\" AS t WHERE t.\"id\" = $1::pg_catalog.int8 RETURNING 1) SELECT \
         NULL::json, \
         count(*), CASE WHEN count(*) > $2::int8 THEN ('atlashub_max_affected:' || count(*))::int4 END FROM g0 -- 1 | \
         0",
    );
}

#[test]
fn errors_of_writes_name_the_invalid_part() {
    let check = |message: String, expected: &str| assert!(message.contains(expected), "{message}");
    let inserted = |table: &str, query: &str, body: &str| code_and_message(&insert(table, query, body).unwrap_err());
    check(
        inserted("authors", "", r#"{"rows":[{"name":"a"},{"nam":1}]}"#),
        "unknown_column: `authors` has no column `nam`",
    );
    check(
        inserted("authors", "", r#"{"rows":[{"id":1}]}"#),
        "invalid_value: Column `id` can't be set: it is an identity column that is always generated",
    );
    check(
        inserted("books", "", r#"{"rows":[{"words":"a"}]}"#),
        "Column `words` can't be set: it is computed from other columns",
    );
    check(inserted("books", "", r#"{"rows":[{"title":"\ud800"}]}"#), "invalid_value: Column `title`");
    check(
        inserted("titles", "", r#"{"rows":[{"title":"a"}]}"#),
        "unprocessable: Can't insert into `titles`: the view does not support it",
    );
    check(
        inserted("authors", "onConflict=boss_id", r#"{"rows":[{"name":"a"}]}"#),
        "`onConflict=boss_id` is not a unique key of `authors` that an upsert can use. \
         Supported: onConflict=id, onConflict=name.",
    );
    check(inserted("authors", "onConflict=nothing", r#"{"rows":[{"name":"a"}]}"#), "unknown_column");
    check(inserted("streets", "resolution=merge", r#"{"rows":[{"id":1}]}"#), "`streets` has no primary key");
    check(
        inserted("rooms", "resolution=ignore", r#"{"rows":[{"area":null}]}"#),
        "can't be used on `rooms`, because its constraint `rooms_area_key` is deferrable. Supported: none.",
    );
    check(
        inserted("authors", "select=books!author_id(id)", r#"{"rows":[{"name":"a"}]}"#),
        "can't be embedded in the response of a write",
    );
    check(
        inserted("secrets", "returning=representation", r#"{"rows":[{"note":"a"}]}"#),
        "forbidden: This key may not read `secrets`",
    );
    check(
        code_and_message(&update("titles", "eq.title=a", r#"{"values":{"title":"a"}}"#).unwrap_err()),
        "unprocessable",
    );
    check(code_and_message(&update("authors", "eq.id=1", r#"{"values":{"id":2}}"#).unwrap_err()), "always generated");
    check(code_and_message(&delete("secrets", "eq.id=1").unwrap_err()), "forbidden: This key may not read column `id`");
}

#[test]
fn insert_of_unreadable_rows_returns_the_count() {
    let sql = insert("secrets", "", r#"{"rows":[{"note":"a"}]}"#).unwrap().text.to_string();
    assert!(sql.ends_with(" RETURNING 1"), "{sql}");
}

/// Returns a body with a row for each of the first `sets` sets of eight columns, twice.
fn rows_with_key_sets(sets: usize) -> String {
    let columns = ["title", "price", "code", "mood", "editor_id", "active", "tags", "details"];
    let row = |bits: usize| {
        let sent = columns.iter().enumerate().filter(|(position, _)| bits & (1 << position) != 0);
        let cells: Vec<String> = sent.map(|(_, column)| format!("\"{column}\":null")).collect();
        format!("{{{}}}", cells.join(","))
    };
    let rows: Vec<String> = (0..2 * sets).map(|number| row(number % sets)).collect();
    format!("{{\"rows\":[{}]}}", rows.join(","))
}

#[test]
fn insert_may_contain_any_number_of_key_sets_but_a_merge_at_most_200() {
    let inserts = |query: &str, sets: usize| {
        insert("books", query, &rows_with_key_sets(sets)).map(|sql| sql.text.matches("INSERT INTO").count())
    };
    assert_eq!(inserts("", 256).unwrap(), 1);
    assert_eq!(inserts("resolution=ignore", 256).unwrap(), 1);
    assert_eq!(inserts("onConflict=code", 200).unwrap(), 200);
    let message = code_and_message(&inserts("onConflict=code", 201).unwrap_err());
    assert!(message.contains("more than 200 different sets of keys"), "{message}");
}
