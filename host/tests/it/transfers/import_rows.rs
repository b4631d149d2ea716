//! Rows that an import skips because of their content or a trigger, and rows with identities.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    download_text, export,
    imports::{counts, import, run, upload, value},
    start,
};

/// Returns line, column and code of each error.
pub(super) fn errors(import: &Value) -> Vec<(i64, Option<&str>, &str)> {
    let errors = import["errors"].as_array().unwrap().iter();
    errors
        .map(|error| (error["line"].as_i64().unwrap(), error["column"].as_str(), error["code"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn json_rows_with_unreadable_escapes_are_skipped_with_line_and_column() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql("CREATE TABLE js (k text PRIMARY KEY, n int DEFAULT 5, v jsonb)").await;
    let rows = [
        r#"{"k":"ok","v":"\\u0000"}"#,
        r#"{"k":"a\u0000"}"#,
        r#"{"k":"b","v":{"x":"\u0000"}}"#,
        r#"{"k":"c","v":"\ud800"}"#,
        r#"{"k":"d","other":"\u0000"}"#,
        r#"{"k\u0000":1,"v":"\u0000"}"#,
        r#"{"k":"\ud83d\ude00"}"#,
    ];
    let skip = json!({ "mode": "insert", "onError": "skip" });
    let expected = [
        (2, Some("k"), "nul_character"),
        (3, Some("v"), "nul_character"),
        (4, Some("v"), "invalid_json"),
        (5, None, "nul_character"),
        (6, Some("v"), "nul_character"),
    ];
    for (format, file) in [("ndjson", rows.join("\n")), ("json", format!("[{}]", rows.join(",\n")))] {
        project.sql("TRUNCATE js").await;
        let done = import(&app, &project, "js", format, &file, skip.clone()).await;
        assert_eq!((&done["state"], counts(&done)), (&json!("done"), [7, 2, 0, 5, 5]), "{done}");
        assert_eq!(errors(&done), expected, "{done}");
        let message = done["errors"][3]["message"].as_str().unwrap();
        assert!(message.contains("`other`"), "{message}");
        assert_eq!(
            value(&project, "SELECT array_agg(k ORDER BY k COLLATE \"C\") FROM js").await,
            json!(["ok", "\u{1f600}"])
        );
    }
    project.sql("TRUNCATE js").await;
    let failed = import(&app, &project, "js", "ndjson", &rows[..2].join("\n"), json!({})).await;
    let text = failed["errorText"].as_str().unwrap();
    assert!(text.starts_with("Line 2, column `k`: ") && text.contains("NUL"), "{text}");
}

#[tokio::test]
async fn rows_that_a_trigger_or_a_limit_of_postgres_refuses_are_skipped_with_their_line() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project
        .sql(
            "CREATE TABLE orders (id int PRIMARY KEY);
             CREATE FUNCTION check_order() RETURNS trigger LANGUAGE plpgsql AS
               'BEGIN IF NEW.id = 2 THEN RAISE EXCEPTION ''Sold out'' USING ERRCODE = ''45000'';
                ELSIF NEW.id = 3 THEN EXECUTE ''SELECT * FROM missing''; END IF; RETURN NEW; END';
             CREATE TRIGGER check_order BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION check_order()",
        )
        .await;
    let nested = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let file = format!("{{\"id\":1}}\n{{\"id\":2}}\n{{\"id\":3}}\n{{\"id\":4,\"other\":{nested}}}\n{{\"id\":5}}\n");
    let request = json!({ "mode": "insert", "onError": "skip" });
    let done = import(&app, &project, "orders", "ndjson", &file, request).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [5, 2, 0, 3, 3]), "{done}");
    let expected = [2, 3, 4].map(|line| (line, None, "constraint_violation"));
    assert_eq!(errors(&done), expected, "{done}");
    let messages = ["Sold out", "relation \"missing\" does not exist", "stack depth limit exceeded"];
    for (error, message) in done["errors"].as_array().unwrap().iter().zip(messages) {
        assert_eq!(error["message"], message);
    }
    assert_eq!(value(&project, "SELECT array_agg(id ORDER BY id) FROM orders").await, json!([1, 5]));

    let failed = import(&app, &project, "orders", "csv", "id\n6\n2\n", json!({})).await;
    assert_eq!(failed["errorText"], "Line 3: Sold out. Nothing was imported.", "{failed}");
}

#[tokio::test]
async fn preview_of_a_file_without_rows_says_so_and_its_import_changes_nothing() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql("CREATE TABLE things (id int PRIMARY KEY, name text)").await;
    for (format, content) in [("csv", "id,name\n"), ("json", "[]"), ("ndjson", "\n")] {
        let path = upload(&app, &project, "things", format, content).await;
        let (status, preview) = app.admin().post(&format!("{path}/preview"), json!({})).await;
        assert_eq!((status, &preview["rows"]), (StatusCode::OK, &json!([])), "{format}: {preview}");
        assert_eq!(preview["warnings"], json!(["The file has no rows."]), "{format}");
        let done = run(&app, &path, json!({})).await;
        assert_eq!((&done["state"], counts(&done)), (&json!("done"), [0; 5]), "{format}: {done}");
    }
    let request = json!({ "projectId": project.id, "table": "things", "format": "ndjson", "sizeBytes": 0 });
    let (status, error) = app.admin().post("/admin/v1/imports", request).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
    assert_eq!(error["error"]["message"], "The file is empty, so it has no rows to import.");
}

#[tokio::test]
async fn preview_of_an_imported_file_says_that_it_was_imported() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql("CREATE TABLE bare (n int)").await;
    let path = upload(&app, &project, "bare", "csv", "n\n1\n").await;
    let done = run(&app, &path, json!({})).await;
    assert_eq!(done["state"], "done", "{done}");
    let (status, body) = app.admin().post(&format!("{path}/preview"), json!({})).await;
    let message = &body["error"]["message"];
    assert_eq!((status, message), (StatusCode::CONFLICT, &json!("The file has already been imported.")), "{body}");
}

#[tokio::test]
async fn full_disk_of_the_postgres_server_is_named() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project
        .sql(
            "CREATE TABLE large (id int);
             CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS
               'BEGIN RAISE EXCEPTION ''could not extend file'' USING ERRCODE = ''53100''; END';
             CREATE TRIGGER fill BEFORE INSERT ON large FOR EACH ROW EXECUTE FUNCTION fill()",
        )
        .await;
    let failed = import(&app, &project, "large", "csv", "id\n1\n", json!({ "onError": "skip" })).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    assert!(failed["errorText"].as_str().unwrap().contains("disk of the Postgres server is full"), "{failed}");
}

#[tokio::test]
async fn upsert_with_an_always_generated_identity_changes_the_other_columns() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project
        .sql(
            "CREATE TABLE stock (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE, count int);
             INSERT INTO stock (name, count) VALUES ('a', 1);
             CREATE TABLE numbers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text DEFAULT 'none');
             INSERT INTO numbers (note) VALUES ('kept')",
        )
        .await;
    let request = |conflict: &str| -> Value {
        json!({ "mode": "upsert", "onError": "abort", "conflict": [conflict], "overrideIdentity": true })
    };
    let file = "id,name,count\n7,a,5\n9,b,6\n";
    let done = import(&app, &project, "stock", "csv", file, request("name")).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [2, 1, 1, 0, 0]), "{done}");
    let rows = "SELECT array_agg(array[id::text, name, count::text] ORDER BY id) FROM stock";
    assert_eq!(value(&project, rows).await, json!([["1", "a", "5"], ["9", "b", "6"]]));

    // There is no column that could be changed.
    let done = import(&app, &project, "numbers", "csv", "id\n1\n20\n", request("id")).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [2, 1, 0, 1, 0]), "{done}");
    let rows = "SELECT array_agg(array[id::text, note] ORDER BY id) FROM numbers";
    assert_eq!(value(&project, rows).await, json!([["1", "kept"], ["20", "none"]]));
}

#[tokio::test]
async fn row_errors_are_sentences_without_positions_in_the_row() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY, name text)").await;
    let failed = import(&app, &project, "items", "ndjson", "{\"id\":1}\n{id:2}\n", json!({})).await;
    let text = "Line 2: This is not valid JSON: key must be a string. Nothing was imported.";
    assert_eq!(failed["errorText"], text, "{failed}");
    let unclosed = format!("id,name\n1,\"{}", "x".repeat(9 << 20));
    let failed = import(&app, &project, "items", "csv", &unclosed, json!({})).await;
    let text = "Line 2: The row that begins here is larger than 8 MiB. Is a quote missing? Nothing was imported.";
    assert_eq!(failed["errorText"], text, "{failed}");
}

#[tokio::test]
async fn import_into_a_table_that_forces_policies_names_the_remedy_and_advances_sequences() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project
        .sql(
            "CREATE TABLE notes (id serial PRIMARY KEY, name text);
             ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE notes FORCE ROW LEVEL SECURITY",
        )
        .await;
    let failed = import(&app, &project, "notes", "csv", "id,name\n50,a\n", json!({})).await;
    let text = "Line 2: new row violates row-level security policy for table \"notes\". The table forces row-level \
                security, so policies apply to its owner, who writes the rows. Add a policy that permits this row, or \
                run ALTER TABLE … NO FORCE ROW LEVEL SECURITY. Nothing was imported.";
    assert_eq!(failed["errorText"], text, "{failed}");

    // The owner may insert rows, but can't see them afterwards.
    project.sql("CREATE POLICY insertable ON notes FOR INSERT WITH CHECK (id < 60)").await;
    let file = "id,name\n50,a\n40,b\n90,c\n";
    let done = import(&app, &project, "notes", "csv", file, json!({ "onError": "skip" })).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [3, 2, 0, 1, 1]), "{done}");
    assert_eq!(errors(&done), [(4, None, "forbidden")], "{done}");
    project.sql("INSERT INTO notes (name) VALUES ('next')").await;
    assert_eq!(value(&project, "SELECT array_agg(id ORDER BY id) FROM notes").await, json!([40, 50, 51]));
}

#[tokio::test]
async fn names_of_csv_fields_match_columns_in_another_case() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql(r#"CREATE TABLE sizes ("Größe" int, "Ä" int, name text)"#).await;
    let done = import(&app, &project, "sizes", "csv", "GRÖßE,ä,Name\n1,2,a\n", json!({})).await;
    assert_eq!(counts(&done), [1, 1, 0, 0, 0], "{done}");
    assert_eq!(value(&project, r#"SELECT json_build_array("Größe", "Ä", name) FROM sizes"#).await, json!([1, 2, "a"]));
}

#[tokio::test]
async fn error_text_names_the_unclosed_quote_and_not_an_earlier_bad_row_that_is_skipped() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql("CREATE TABLE pairs (a int, b text)").await;
    let failed = import(&app, &project, "pairs", "csv", "a,b\n1\n2,x\n3,\"y\n", json!({ "onError": "skip" })).await;
    assert_eq!(errors(&failed), [(2, None, "wrong_field_count"), (4, None, "unclosed_quote")]);
    assert_eq!(failed["errors"][0]["message"], "The row has 1 field, but must have 2.");
    let text = failed["errorText"].as_str().unwrap();
    assert!(text.starts_with("Line 4: "), "{text}");
    assert!(text.ends_with("2 rows can't be imported. Nothing was imported."), "{text}");
    assert_eq!(value(&project, "SELECT count(*) FROM pairs").await, 0);
}

#[tokio::test]
async fn aborted_import_reports_a_bad_value_before_the_row_at_which_it_stopped() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY, n int REFERENCES items)").await;
    // The row on line 2 references the last one, which is not read.
    let file = "id,n\n1,5\n2,bad\n3,3\n4\n5,5\n";
    let failed = import(&app, &project, "items", "csv", file, json!({})).await;
    assert_eq!(errors(&failed), [(3, Some("n"), "invalid_value"), (5, None, "wrong_field_count")], "{failed}");
    assert!(failed["errorText"].as_str().unwrap().starts_with("Line 3, column `n`: "), "{failed}");
    assert_eq!(value(&project, "SELECT count(*) FROM items").await, 0);
    let failed = import(&app, &project, "items", "csv", "id,n\n1,5\n3,3\n4\n5,5\n", json!({})).await;
    assert_eq!(errors(&failed), [(4, None, "wrong_field_count")], "{failed}");
}

#[tokio::test]
async fn export_of_an_empty_table_is_imported_as_no_rows() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql("CREATE TABLE bare (id serial PRIMARY KEY, name text)").await;
    let source = json!({ "kind": "table", "projectId": project.id, "table": "bare" });
    for format in ["csv", "json"] {
        let file = export(&app, json!({ "source": source, "format": format })).await;
        let file = download_text(&app, &file).await;
        for mode in ["insert", "upsert"] {
            let path = upload(&app, &project, "bare", format, file.as_str()).await;
            let (status, preview) = app.admin().post(&format!("{path}/preview"), json!({})).await;
            assert_eq!((status, &preview["rows"]), (StatusCode::OK, &json!([])), "{format}: {preview}");
            let done = run(&app, &path, json!({ "mode": mode })).await;
            assert_eq!((&done["state"], counts(&done)), (&json!("done"), [0; 5]), "{format}: {done}");
        }
    }
    project.sql("INSERT INTO bare (name) VALUES ('first')").await;
    assert_eq!(value(&project, "SELECT id FROM bare").await, 1);
}

#[tokio::test]
async fn mapped_values_of_the_first_row_make_it_the_header() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql("CREATE TABLE fruits (name text, code text)").await;
    let file = "Full Name,Comment\nApple,good\nPear,bad\n";
    let mapping = json!({ "Full Name": "name", "Comment": "code" });
    let rows = "SELECT json_agg(json_build_array(name, code) ORDER BY name) FROM fruits";
    let done = import(&app, &project, "fruits", "csv", file, json!({ "mapping": mapping })).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [2, 2, 0, 0, 0]), "{done}");
    assert_eq!(value(&project, rows).await, json!([["Apple", "good"], ["Pear", "bad"]]));

    // Without a header, fields have other names, which a mapping can also contain.
    project.sql("TRUNCATE fruits").await;
    let by_position = json!({ "mapping": { "column1": "name" } });
    let done = import(&app, &project, "fruits", "csv", file, by_position).await;
    assert_eq!(counts(&done), [3, 3, 0, 0, 0], "{done}");

    let path = upload(&app, &project, "fruits", "csv", file).await;
    let request = json!({ "mapping": mapping, "header": false });
    let (status, body) = app.admin().post(&format!("{path}/start"), request).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    let (_, preview) = app.admin().post(&format!("{path}/preview"), json!({})).await;
    assert_eq!(preview["header"], false, "{preview}");
    let done = run(&app, &path, json!({ "mapping": mapping })).await;
    assert_eq!(counts(&done), [2, 2, 0, 0, 0], "{done}");
}

#[tokio::test]
async fn values_that_a_type_refuses_by_syntax_or_name_are_skipped_with_their_column() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project
        .sql(
            "CREATE TABLE vals
                 (id int PRIMARY KEY, q tsquery, p jsonpath, c regclass, r regrole, t regtype, f regconfig)",
        )
        .await;
    let file = "id,q,p,c,r,t,f\n1,a & b,$.a,vals,pg_monitor,int4,simple\n2,a b,,,,,\n3,,$.,,,,\n4,,,missing,,,\n\
                5,,,,nobody here,,\n6,,,,,nothing,\n7,,,,,,nothing\n8,c,,,,,\n";
    let done = import(&app, &project, "vals", "csv", file, json!({ "onError": "skip" })).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [8, 2, 0, 6, 6]), "{done}");
    let expected: Vec<_> = ["q", "p", "c", "r", "t", "f"]
        .into_iter()
        .zip(3..)
        .map(|(column, line)| (line, Some(column), "invalid_value"))
        .collect();
    assert_eq!(errors(&done), expected, "{done}");
    assert_eq!(value(&project, "SELECT array_agg(id ORDER BY id) FROM vals").await, json!([1, 8]));
    let failed = import(&app, &project, "vals", "csv", "id,c\n9,vals\n10,missing\n", json!({})).await;
    let text = failed["errorText"].as_str().unwrap();
    assert!(text.starts_with("Line 3, column `c`: "), "{text}");
}

#[tokio::test]
async fn exported_hstore_objects_are_imported_again() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    sqlx::raw_sql("CREATE EXTENSION hstore").execute(&mut project.connect().await).await.unwrap();
    project
        .sql(
            r#"CREATE TABLE tags (id int PRIMARY KEY, h hstore DEFAULT 'd=>1');
               INSERT INTO tags VALUES
                   (1, '"a"=>"1","b"=>NULL,"q\\\"k"=>"say \"hi\" \\ ok, x=>y"'), (2, ''), (3, NULL)"#,
        )
        .await;
    let all = "SELECT array_agg(h::text ORDER BY id) FROM tags";
    let before = value(&project, all).await;
    for format in ["json", "ndjson"] {
        let source = json!({ "kind": "table", "projectId": project.id, "table": "tags" });
        let exported = export(&app, json!({ "source": source, "format": format })).await;
        let file = download_text(&app, &exported).await;
        project.sql("TRUNCATE tags").await;
        let done = import(&app, &project, "tags", format, &file, json!({})).await;
        assert_eq!(counts(&done), [3, 3, 0, 0, 0], "{done}");
        assert_eq!(value(&project, all).await, before);
    }
    project.sql("TRUNCATE tags").await;
    let file = "{\"id\":1,\"h\":\"x=>y\"}\n{\"id\":2}\n{\"id\":3,\"h\":{\"a\":{\"b\":1}}}\n\
                {\"id\":4,\"h\":\"x y\"}\n{\"id\":5,\"h\":{\"n\":1.50,\"t\":true}}\n";
    let done = import(&app, &project, "tags", "ndjson", file, json!({ "onError": "skip" })).await;
    assert_eq!(counts(&done), [5, 3, 0, 2, 2], "{done}");
    assert_eq!(errors(&done), [3, 4].map(|line| (line, Some("h"), "invalid_value")), "{done}");
    let expected = json!(["\"x\"=>\"y\"", "\"d\"=>\"1\"", "\"n\"=>\"1.50\", \"t\"=>\"true\""]);
    assert_eq!(value(&project, all).await, expected);
}

#[tokio::test]
async fn json_in_csv_is_parsed_although_a_domain_is_based_on_another_domain() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project
        .sql(
            "CREATE DOMAIN doc AS jsonb; CREATE DOMAIN object AS doc;
             CREATE TABLE docs (id int PRIMARY KEY, a doc, b object)",
        )
        .await;
    let csv = "id,a,b\n1,\"{\"\"x\"\":1}\",\"{\"\"x\"\":1}\"\n";
    // Only the staged method, which an upsert uses, reads values from JSON.
    let done = import(&app, &project, "docs", "csv", csv, json!({ "mode": "upsert" })).await;
    assert_eq!(counts(&done), [1, 1, 0, 0, 0], "{done}");
    assert_eq!(value(&project, "SELECT json_build_array(a, b) FROM docs").await, json!([{ "x": 1 }, { "x": 1 }]));
}
