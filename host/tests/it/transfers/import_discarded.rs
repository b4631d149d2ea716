//! Rows that a trigger discards during an import.

use serde_json::{Value, json};

use super::{
    import_rows::errors,
    imports::{counts, import, value},
    start,
};

/// A table of which each row may reference another one. A trigger discards rows with the name `skip`.
const STAFF: &str = "CREATE TABLE staff (id int PRIMARY KEY, boss int REFERENCES staff, name text);
    CREATE FUNCTION discard() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN IF NEW.name = ''skip'' THEN RETURN NULL; END IF; RETURN NEW; END';
    CREATE TRIGGER discard BEFORE INSERT ON staff FOR EACH ROW EXECUTE FUNCTION discard()";

#[tokio::test]
async fn rows_that_reference_one_another_are_imported_although_a_row_between_them_is_discarded() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql(STAFF).await;
    // The first and the last row of the first half reference each other. The second half has a bad row.
    let csv = "id,boss,name\n1,4,a\n2,,skip\n3,,c\n4,1,d\n5,99,e\n6,,f\n7,,g\n8,,h\n";
    let done = import(&app, &project, "staff", "csv", csv, json!({ "onError": "skip" })).await;
    assert_eq!(counts(&done), [8, 6, 0, 2, 2], "{done}");
    assert_eq!(errors(&done), [(6, Some("boss"), "foreign_key_violation")]);
    assert_eq!(value(&project, "SELECT array_agg(id ORDER BY id) FROM staff").await, json!([1, 3, 4, 6, 7, 8]));
}

#[tokio::test]
async fn dry_run_of_an_import_that_aborts_reports_no_discarded_rows() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql(STAFF).await;
    for dry_run in [true, false] {
        let request = json!({ "onError": "abort", "dryRun": dry_run });
        let done = import(&app, &project, "staff", "csv", "id,name\n1,a\n2,skip\n3,c\n", request).await;
        assert_eq!((&done["state"], counts(&done)), (&json!("done"), [3, 2, 0, 1, 0]), "{done}");
    }
}

#[tokio::test]
async fn discarded_rows_before_a_row_that_can_not_be_read_are_counted_as_read() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql(STAFF).await;
    for (row, code) in [("3\n", "wrong_field_count"), ("3,\"c\n", "unclosed_quote")] {
        let csv = format!("id,name\n1,skip\n2,b\n{row}");
        let failed = import(&app, &project, "staff", "csv", &csv, json!({ "onError": "abort" })).await;
        assert_eq!((&failed["state"], counts(&failed)), (&json!("failed"), [2, 0, 0, 0, 1]), "{failed}");
        assert_eq!(errors(&failed), [(4, None, code)]);
    }
}

#[tokio::test]
async fn discarded_rows_that_had_to_wait_for_other_rows_are_reported() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    // Discards a row only once its boss is in the table.
    project
        .sql(
            "CREATE TABLE staff (id int PRIMARY KEY, boss int REFERENCES staff, name text);
             CREATE FUNCTION discard() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN IF NEW.name = ''skip'' AND EXISTS (SELECT FROM staff WHERE id = NEW.boss) THEN RETURN NULL;
                  END IF; RETURN NEW; END';
             CREATE TRIGGER discard BEFORE INSERT ON staff FOR EACH ROW EXECUTE FUNCTION discard()",
        )
        .await;
    // The bad row makes the import move the rows one by one. Then the first row waits for its boss.
    let bad = (5, Some("id"), "invalid_value");
    let done = import(&app, &project, "staff", "csv", "id,boss,name\n1,3,skip\n2,,b\n3,,c\nx,,d\n", skip()).await;
    assert_eq!((counts(&done), errors(&done)), ([4, 2, 0, 2, 2], vec![(2, None, "discarded"), bad]), "{done}");
    // Here, the discarded row is moved together with others, so it is only counted.
    project.sql("TRUNCATE staff").await;
    let done = import(&app, &project, "staff", "csv", "id,boss,name\n1,3,a\n2,3,skip\n3,,c\nx,,d\n", skip()).await;
    assert_eq!((counts(&done), errors(&done)), ([4, 2, 0, 2, 2], vec![bad]), "{done}");
    assert_eq!(value(&project, "SELECT array_agg(id ORDER BY id) FROM staff").await, json!([1, 3]));
}

fn skip() -> Value {
    json!({ "onError": "skip" })
}
