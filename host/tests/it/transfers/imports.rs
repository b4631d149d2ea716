//! Imports: preview, bad rows, upsert, cancellation and interruption.

use atlashub::object_store::PLATFORM_BUCKET;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{download_text, export, start};
use crate::{
    jobs::end_to_end::ended,
    sql_editor::limits::wait_for_statements,
    support::{TestApp, TestProject, code, eventually, must_send},
};

/// Creates an import and uploads its file. Returns its path.
pub(crate) async fn upload(
    app: &TestApp,
    project: &TestProject,
    table: &str,
    format: &str,
    content: impl Into<Vec<u8>>,
) -> String {
    let content = content.into();
    let request = json!({ "projectId": project.id, "table": table, "format": format, "sizeBytes": content.len() });
    let (status, created) = app.admin().post("/admin/v1/imports", request).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    assert_eq!((&created["import"]["state"], &created["method"]), (&json!("awaitingUpload"), &json!("PUT")));
    must_send(&created, content).await;
    format!("/admin/v1/imports/{}", created["import"]["id"].as_str().unwrap())
}

pub(crate) async fn get(app: &TestApp, path: &str) -> Value {
    let (status, import) = app.admin().get(path).await;
    assert_eq!(status, StatusCode::OK, "{import}");
    import
}

/// Starts an import, waits for the end of its run and returns the import.
pub(crate) async fn run(app: &TestApp, path: &str, request: Value) -> Value {
    let (status, started) = app.admin().post(&format!("{path}/start"), request).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{started}");
    ended(&app.admin(), started["runId"].as_str().unwrap()).await;
    get(app, path).await
}

pub(super) async fn import(
    app: &TestApp,
    project: &TestProject,
    table: &str,
    format: &str,
    content: &str,
    request: Value,
) -> Value {
    run(app, &upload(app, project, table, format, content).await, request).await
}

pub(crate) async fn value(project: &TestProject, sql: &str) -> Value {
    let sql = format!("SELECT to_jsonb(({sql}))");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut project.connect().await).await.unwrap()
}

pub(super) fn counts(import: &Value) -> [i64; 5] {
    ["rowsRead", "rowsInserted", "rowsUpdated", "rowsSkipped", "errorCount"].map(|name| import[name].as_i64().unwrap())
}

pub(super) const ITEMS: &str = "CREATE TABLE items (id serial PRIMARY KEY, name text NOT NULL UNIQUE, \
    price numeric(10,2) CHECK (price >= 0), note text DEFAULT 'none', tags text[], doc jsonb)";

#[tokio::test]
async fn csv_of_a_spreadsheet_is_previewed_and_imported() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql(ITEMS).await;
    let csv = "\u{feff}Name;price;note;extra\r\n\"a \"\"x\"\"\r\nb\";1,5;\"\";1\r\n5\" disk;2.50;;2\r\n";
    let path = upload(&app, &project, "items", "csv", csv).await;
    assert_eq!(get(&app, &path).await["state"], "uploaded");
    let (status, preview) = app.admin().post(&format!("{path}/preview"), json!({})).await;
    assert_eq!(status, StatusCode::OK, "{preview}");
    assert_eq!((&preview["delimiter"], &preview["header"]), (&json!(";"), &json!(true)), "{preview}");
    let targets: Vec<&Value> = preview["columns"].as_array().unwrap().iter().map(|column| &column["target"]).collect();
    assert_eq!(targets, [&json!("name"), &json!("price"), &json!("note"), &Value::Null]);
    assert_eq!(preview["columns"][1]["type"], "numeric(10,2)");
    assert_eq!(preview["rows"], json!([["a \"x\"\r\nb", "1,5", "", "1"], ["5\" disk", "2.50", null, "2"]]));
    let warnings = preview["warnings"].to_string();
    assert!(warnings.contains("`extra`") && warnings.contains("decimal separator"), "{warnings}");

    // The comma in the price is the only problem. Nothing is imported.
    let failed = run(&app, &path, json!({ "mode": "insert", "onError": "abort" })).await;
    assert_eq!((&failed["state"], &failed["errorCount"]), (&json!("failed"), &json!(1)), "{failed}");
    let error = &failed["errors"][0];
    assert_eq!((&error["line"], &error["column"]), (&json!(2), &json!("price")), "{error}");
    assert_eq!((&error["code"], &error["value"]), (&json!("invalid_value"), &json!("1,5")), "{error}");
    assert!(failed["errorText"].as_str().unwrap().starts_with("Line 2, column `price`: "), "{failed}");
    assert_eq!(value(&project, "SELECT count(*) FROM items").await, 0);

    // Imports the same file again without that field, first as a dry run.
    let request = json!({ "mapping": { "Name": "name", "price": null, "note": "note" }, "dryRun": true });
    let tried = run(&app, &path, request.clone()).await;
    assert_eq!((&tried["state"], &tried["dryRun"], counts(&tried)), (&json!("done"), &json!(true), [2, 2, 0, 0, 0]));
    assert_eq!(value(&project, "SELECT count(*) FROM items").await, 0);
    let mut request = request;
    request["dryRun"] = false.into();
    let done = run(&app, &path, request.clone()).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [2, 2, 0, 0, 0]), "{done}");
    let rows = "SELECT array_agg(array[name, note, price::text]) FROM items";
    assert_eq!(value(&project, rows).await, json!([["a \"x\"\r\nb", "", null], ["5\" disk", null, null]]));

    // A finished import can't be started again, and its file is deleted.
    let (status, refused) = app.admin().post(&format!("{path}/start"), request).await;
    assert_eq!((status, code(&refused)), (StatusCode::CONFLICT, "conflict"));
    let key = format!("imports/{}", done["id"].as_str().unwrap());
    assert!(app.app.store().head(PLATFORM_BUCKET, &key).await.unwrap().is_none());
}

#[tokio::test]
async fn exported_values_return_unchanged() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    let columns = "id int PRIMARY KEY, t text, n numeric, f float8, b bytea, at timestamptz, span interval, list int[],
        texts text[], doc json, docb jsonb, flag boolean, v varchar(3), c char(3), bits bit(3), range int4range,
        p pair";
    project
        .sql(&format!(
            r#"CREATE TYPE pair AS (a int, b text);
            CREATE TABLE source ({columns}); CREATE TABLE copy_csv ({columns}); CREATE TABLE copy_json ({columns});
            CREATE TABLE copy_ndjson ({columns});
            INSERT INTO source VALUES
              (1, E'a "q",\r\nl\t\\n', 1e20, 0.1, '\x00ff', '2026-11-28 12:00:00.123456+05:30', '1 mon -2 days',
               '{{1,NULL,3}}', '{{"a,b",NULL,"","NULL"}}', '{{"a": 1e2, "b":  -0}}', '{{"a": 100}}', true, 'abc', 'a',
               '101', '[1,5)', '(1,"x,y")'),
              (2, '', 'NaN', '-Infinity', '', 'infinity', NULL, '{{}}', '{{}}', '"x"', '[1]', false, '', '', NULL,
               'empty', NULL),
              (3, NULL, 0.10, '-0', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"#
        ))
        .await;
    for format in ["csv", "json", "ndjson"] {
        let source = json!({ "kind": "table", "projectId": project.id, "table": "source" });
        let file = download_text(&app, &export(&app, json!({ "source": source, "format": format })).await).await;
        let table = format!("copy_{format}");
        let done = import(&app, &project, &table, format, &file, json!({})).await;
        assert_eq!(counts(&done), [3, 3, 0, 0, 0], "{done}");
        let text = |table: &str| format!("SELECT array_agg(t::text ORDER BY id) FROM {table} t");
        assert_eq!(value(&project, &text(&table)).await, value(&project, &text("source")).await, "{format}");
        // An upsert that skips bad rows gives the same result.
        project.sql(&format!("TRUNCATE {table}")).await;
        let done = import(&app, &project, &table, format, &file, json!({ "mode": "upsert", "onError": "skip" })).await;
        assert_eq!(counts(&done), [3, 3, 0, 0, 0], "{done}");
        assert_eq!(value(&project, &text(&table)).await, value(&project, &text("source")).await, "{format}");
    }
}

#[tokio::test]
async fn bad_rows_are_skipped_and_reported_with_line_and_column() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql(ITEMS).await;
    let csv = b"name,price,tags\na,1,{x}\nb,many,\nc,-1,\n,2,\na,3,\nd,4,{x\ne,5\n\xff,6,\nf,7,{y}\ng,8,,9\n".to_vec();
    let path = upload(&app, &project, "items", "csv", csv).await;
    let done = run(&app, &path, json!({ "mode": "insert", "onError": "skip" })).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [10, 2, 0, 8, 8]), "{done}");
    let errors: Vec<(i64, Option<&str>, &str)> = done["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["line"].as_i64().unwrap(), error["column"].as_str(), error["code"].as_str().unwrap()))
        .collect();
    let expected = [
        (3, Some("price"), "invalid_value"),
        (4, None, "check_violation"),
        (5, Some("name"), "not_null_violation"),
        (6, Some("name"), "unique_violation"),
        (7, Some("tags"), "invalid_value"),
        (8, None, "wrong_field_count"),
        (9, None, "invalid_encoding"),
        (11, None, "wrong_field_count"),
    ];
    assert_eq!(errors, expected, "{done}");
    assert_eq!(done["errors"][0]["value"], "many");
    assert_eq!(value(&project, "SELECT array_agg(name) FROM items").await, json!(["a", "f"]));
    // The next row gets a new id, although rows were skipped.
    project.sql("INSERT INTO items (name) VALUES ('next')").await;

    // A dry run finds all errors and changes nothing.
    let json_rows =
        "[\n{\"name\": \"x\", \"price\": 1},\n{\"name\": null},\n 7,\n{\"name\": \"y\", \"price\": \"?\"}\n]";
    let path = upload(&app, &project, "items", "json", json_rows).await;
    let tried = run(&app, &path, json!({ "mode": "insert", "onError": "abort", "dryRun": true })).await;
    assert_eq!((&tried["state"], &tried["errorText"]), (&json!("done"), &Value::Null), "{tried}");
    assert_eq!(counts(&tried), [4, 1, 0, 3, 3], "{tried}");
    assert_eq!(value(&project, "SELECT count(*) FROM items WHERE name = 'x'").await, 0);
    let lines: Vec<&Value> = tried["errors"].as_array().unwrap().iter().map(|error| &error["line"]).collect();
    assert_eq!(lines, [3, 4, 5], "{tried}");
    let done = run(&app, &path, json!({ "mode": "insert", "onError": "skip" })).await;
    assert_eq!(counts(&done), [4, 1, 0, 3, 3], "{done}");
    // If an object lacks a key, the column gets its default.
    assert_eq!(value(&project, "SELECT note FROM items WHERE name = 'x'").await, "none");
}

#[tokio::test]
async fn upsert_updates_rows_by_key_and_sequences_advance() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql(ITEMS).await;
    project.sql("INSERT INTO items (name, price) VALUES ('a', 1), ('b', 1)").await;
    let csv = "id,name,price\n1,a,5\n90,new,6\n90,newer,7\n";
    let done = import(&app, &project, "items", "csv", csv, json!({ "mode": "upsert", "onError": "abort" })).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [3, 1, 2, 0, 0]), "{done}");
    let rows = "SELECT array_agg(array[id::text, name, price::text, note] ORDER BY id) FROM items";
    let expected = json!([["1", "a", "5.00", "none"], ["2", "b", "1.00", "none"], ["90", "newer", "7.00", "none"]]);
    assert_eq!(value(&project, rows).await, expected);
    project.sql("INSERT INTO items (name) VALUES ('next')").await;
    assert_eq!(value(&project, "SELECT id FROM items WHERE name = 'next'").await, 91);
    let request = json!({ "mode": "upsert", "conflict": ["name"], "onError": "skip" });
    let done =
        import(&app, &project, "items", "ndjson", "{\"name\":\"a\",\"price\":9}\n{\"name\":\"z\"}\n", request).await;
    assert_eq!(counts(&done), [2, 1, 1, 0, 0], "{done}");
    assert_eq!(value(&project, "SELECT price::text FROM items WHERE name = 'a'").await, "9.00");
    // Columns that are not in the file keep their values, and have their defaults in the new row.
    assert_eq!(value(&project, "SELECT array_agg(id ORDER BY id) FROM items").await, json!([1, 2, 90, 91, 93]));
    assert_eq!(value(&project, "SELECT note FROM items WHERE name = 'z'").await, "none");

    // Identities and generated columns.
    project
        .sql(
            "CREATE TABLE made (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int,
              twice int GENERATED ALWAYS AS (n * 2) STORED)",
        )
        .await;
    let path = upload(&app, &project, "made", "csv", "id,n,twice\n7,1,2\n").await;
    let refused = async |request: Value| app.admin().post(&format!("{path}/start"), request).await;
    for (target, words) in [("id", "overrideIdentity"), ("twice", "generated")] {
        let (status, body) = refused(json!({ "mapping": { target: target, "n": "n" } })).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(body["error"]["message"].as_str().unwrap().contains(words), "{body}");
    }
    let (_, body) = refused(json!({ "mapping": { "id": "n", "n": "n" } })).await;
    assert!(body["error"]["message"].as_str().unwrap().contains("both mapped"), "{body}");
    let request = json!({ "mapping": { "id": "id", "n": "n" }, "overrideIdentity": true });
    assert_eq!(counts(&run(&app, &path, request).await), [1, 1, 0, 0, 0]);
    project.sql("INSERT INTO made (n) VALUES (5)").await;
    assert_eq!(
        value(&project, "SELECT array_agg(array[id, n, twice] ORDER BY id) FROM made").await,
        json!([[7, 1, 2], [8, 5, 10]])
    );
}

#[tokio::test]
async fn triggers_policies_and_references_are_respected() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project
        .sql(
            "CREATE TABLE staff (id int PRIMARY KEY, boss int REFERENCES staff, name text);
             CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS
               'BEGIN IF NEW.name = ''skip'' THEN RETURN NULL; END IF; NEW.name = upper(NEW.name); RETURN NEW; END';
             CREATE TRIGGER shout BEFORE INSERT ON staff FOR EACH ROW EXECUTE FUNCTION shout();
             CREATE TABLE notes (id int PRIMARY KEY, owner text); ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
             ALTER TABLE notes FORCE ROW LEVEL SECURITY;
             CREATE POLICY mine ON notes USING (owner = 'me') WITH CHECK (owner = 'me');
             CREATE TABLE late (id int PRIMARY KEY, staff int REFERENCES staff DEFERRABLE INITIALLY DEFERRED)",
        )
        .await;
    // Rows may reference later ones.
    let csv = "id,boss,name\n1,2,ann\n2,,bob\n3,,skip\n";
    // An import that skips bad rows also reports the row that the trigger discards.
    for (on_error, bad, read, errors) in [("abort", "", 3, vec![]), ("skip", "4,99,eve\n", 4, vec![4, 5])] {
        project.sql("TRUNCATE staff CASCADE").await;
        let done = import(&app, &project, "staff", "csv", &format!("{csv}{bad}"), json!({ "onError": on_error })).await;
        assert_eq!(counts(&done), [read, 2, 0, read - 2, i64::try_from(errors.len()).unwrap()], "{done}");
        let lines: Vec<i64> = done["errors"].as_array().unwrap().iter().map(|e| e["line"].as_i64().unwrap()).collect();
        assert_eq!(lines, errors, "{done}");
        assert_eq!(value(&project, "SELECT array_agg(name ORDER BY id) FROM staff").await, json!(["ANN", "BOB"]));
    }
    let many: String = (10..200).map(|id| format!("{id},skip\n")).collect();
    let file = format!("id,name\n8,ann\n{many}9,bob\n");
    let done = import(&app, &project, "staff", "csv", &file, json!({ "onError": "skip" })).await;
    assert_eq!((counts(&done), done["errors"].as_array().unwrap().len()), ([192, 2, 0, 190, 190], 100), "{done}");
    let first = &done["errors"][0];
    assert_eq!((&first["line"], &first["code"]), (&json!(3), &json!("discarded")), "{first}");
    assert!(first["message"].as_str().unwrap().ends_with("it may have stored it elsewhere."));
    project.sql("DELETE FROM staff WHERE id IN (8, 9)").await;
    let failed = import(&app, &project, "staff", "csv", "id,boss\n8,9\n9,\n10,77\n", json!({})).await;
    assert_eq!(
        (&failed["errors"][0]["line"], &failed["errors"][0]["code"]),
        (&json!(4), &json!("foreign_key_violation")),
        "{failed}"
    );
    let late = import(&app, &project, "late", "csv", "id,staff\n1,1\n2,55\n", json!({ "onError": "skip" })).await;
    assert_eq!((counts(&late), &late["errors"][0]["line"]), ([2, 1, 0, 1, 1], &json!(3)), "{late}");

    // Policies that are forced apply to the owner.
    let failed = import(&app, &project, "notes", "csv", "id,owner\n1,me\n2,you\n", json!({})).await;
    assert_eq!(
        (&failed["errors"][0]["line"], &failed["errors"][0]["code"]),
        (&json!(3), &json!("forbidden")),
        "{failed}"
    );
    let done = import(&app, &project, "notes", "csv", "id,owner\n1,me\n2,you\n", json!({ "onError": "skip" })).await;
    assert_eq!(counts(&done), [2, 1, 0, 1, 1], "{done}");
}

#[tokio::test]
async fn cancelled_import_changes_nothing() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project
        .sql(
            "CREATE TABLE slow (id int); CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
               'BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END';
             CREATE TRIGGER wait BEFORE INSERT ON slow FOR EACH ROW EXECUTE FUNCTION wait()",
        )
        .await;
    let csv: String = std::iter::once("id\n".to_owned()).chain((0..10_000).map(|id| format!("{id}\n"))).collect();
    let path = upload(&app, &project, "slow", "csv", csv).await;
    let (_, started) = app.admin().post(&format!("{path}/start"), json!({})).await;
    let run_id = started["runId"].as_str().unwrap();
    wait_for_statements(&app, &project.id, 1).await;
    assert_eq!(get(&app, &path).await["state"], "running");
    assert_eq!(app.admin().post(&format!("{path}/start"), json!({})).await.0, StatusCode::CONFLICT);
    assert!(app.admin().post(&format!("/admin/v1/runs/{run_id}/cancel"), json!({})).await.0.is_success());
    assert_eq!(ended(&app.admin(), run_id).await["status"], "cancelled");
    assert_eq!(get(&app, &path).await["state"], "cancelled");
    wait_for_statements(&app, &project.id, 0).await;
    assert_eq!(value(&project, "SELECT count(*) FROM slow").await, 0);
    // The import can be started again.
    project.sql("DROP TRIGGER wait ON slow").await;
    assert_eq!(counts(&run(&app, &path, json!({})).await), [10_000, 10_000, 0, 0, 0]);
}

#[tokio::test]
async fn interrupted_commit_gets_the_outcome_of_its_transaction() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql("CREATE TABLE items (id int)").await;
    let path = upload(&app, &project, "items", "csv", "id\n1\n").await;
    let done = run(&app, &path, json!({})).await;
    assert_eq!(done["state"], "done", "{done}");
    let id = done["id"].as_str().unwrap();
    let committing = async |transaction: &str| {
        let sql = "UPDATE imports SET state = 'committing', transaction_id = coalesce($2, transaction_id)
            WHERE id = $1::uuid";
        let transaction = Some(transaction).filter(|transaction| !transaction.is_empty());
        sqlx::query(sql).bind(id).bind(transaction).execute(app.app.platform()).await.unwrap();
    };
    // The process was killed after the commit, before it could record the commit.
    committing("").await;
    assert_eq!(get(&app, &path).await["state"], "done");
    // The process was killed before the commit.
    let mut connection = project.connect().await;
    sqlx::raw_sql("BEGIN").execute(&mut connection).await.unwrap();
    let transaction: String =
        sqlx::query_scalar("SELECT pg_current_xact_id()::text").fetch_one(&mut connection).await.unwrap();
    committing(&transaction).await;
    assert_eq!(get(&app, &path).await["state"], "running");
    sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.unwrap();
    atlashub::transfers::sweep(app.app.transfers()).await.unwrap();
    let failed = get(&app, &path).await;
    assert_eq!((&failed["state"], &failed["rowsInserted"]), (&json!("failed"), &json!(0)), "{failed}");
}

#[tokio::test]
async fn large_file_is_imported_with_its_progress() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql("CREATE TABLE big (id int PRIMARY KEY, name text)").await;
    let mut csv = String::from("id,name\n");
    for id in 0..200_000 {
        csv.push_str(&format!("{id},some name of row {id}\n"));
    }
    let path = upload(&app, &project, "big", "csv", csv.clone()).await;
    let done = run(&app, &path, json!({})).await;
    assert_eq!(counts(&done), [200_000, 200_000, 0, 0, 0], "{done}");
    // The last row is bad: everything is undone, and the row is found.
    csv.push_str("199999,again\n");
    project.sql("TRUNCATE big").await;
    let path = upload(&app, &project, "big", "csv", csv).await;
    let failed = run(&app, &path, json!({})).await;
    assert_eq!(
        (&failed["errors"][0]["line"], &failed["errors"][0]["code"]),
        (&json!(200_002), &json!("unique_violation")),
        "{failed}"
    );
    assert_eq!(value(&project, "SELECT count(*) FROM big").await, 0);
    let progress = eventually("progress", async || {
        let (_, run) = app.admin().get(&format!("/admin/v1/runs/{}", failed["runId"].as_str().unwrap())).await;
        (run["progress"]["total"].as_u64() > Some(0)).then_some(run["progress"].clone())
    })
    .await;
    assert!(progress["done"].as_u64() <= progress["total"].as_u64(), "{progress}");
}

#[tokio::test]
async fn preview_names_the_row_with_another_number_of_fields() {
    let app = start().await;
    let project = app.create_project("Rows").await;
    project.sql(ITEMS).await;
    let path = upload(&app, &project, "items", "csv", "name,price\nx,1\ny\nz,3\n").await;
    let (_, preview) = app.admin().post(&format!("{path}/preview"), json!({})).await;
    let warning = "Row 2 has 1 instead of 2 fields and can't be imported.";
    assert!(preview["warnings"].to_string().contains(warning), "{preview}");
}
