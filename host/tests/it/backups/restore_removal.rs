//! Removal of restores: cancelled plans, and kept databases that are dropped.

use reqwest::StatusCode;
use serde_json::json;

use crate::{
    backups::end_to_end::ended_run,
    backups::restore::{confirm, other_databases, path_of, plan, restore_of, start},
    backups::verify::create_backup,
    support::{TestApp, code, eventually},
};

#[tokio::test]
async fn restore_is_removed_only_in_the_state_that_the_client_expects() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("expected").await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY)").await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let planned = plan(&app, &backup, &project).await;
    let remove = async |expected: &str| {
        let (status, body) = app.admin().delete(&path_of(&planned, &format!("?state={expected}"))).await;
        (status, code(&body).to_owned(), body["error"]["message"].as_str().unwrap_or_default().to_owned())
    };
    let refused = |message: &str| (StatusCode::CONFLICT, "conflict".to_owned(), message.to_owned());
    assert_eq!(remove("done").await, refused("The restore is only planned. Nothing was removed."));
    assert_eq!(restore_of(&app, &planned).await["state"], "planned");
    for invalid in ["?state=kept", "?status=planned"] {
        assert_eq!(app.admin().delete(&path_of(&planned, invalid)).await.0, StatusCode::BAD_REQUEST, "{invalid}");
    }

    // A client that wants to cancel the plan drops no database if the restore has run meanwhile.
    let (done, _) = confirm(&app, &planned, &project).await;
    assert_eq!(remove("planned").await, refused("The restore is done. Nothing was removed."));
    assert_eq!(other_databases(&project).await, [done["previousDatabase"].as_str().unwrap()]);
    // A client that wants to drop the database from before the restore drops nothing if the project uses that database
    // again.
    let run = ended_run(&app, &start(&app, &planned, "/rollback", &project).await).await;
    assert_eq!(run["status"], "success", "{run}");
    assert_eq!(remove("done").await, refused("The restore was rolled back. Nothing was removed."));
    assert_eq!(other_databases(&project).await.len(), 1);
    assert_eq!(remove("rolledBack").await.0, StatusCode::NO_CONTENT);
    assert_eq!(other_databases(&project).await, Vec::<String>::new());
    let (_, audit) = app.admin().get("/admin/v1/audit?action=restore.delete").await;
    let entry = &audit["items"][0];
    assert!(entry["details"]["droppedDatabase"].is_string() && entry["details"]["project"] == "expected", "{entry}");

    let planned = plan(&app, &backup, &project).await;
    let path = path_of(&planned, "?state=planned");
    assert_eq!(app.admin().delete(&path).await.0, StatusCode::NO_CONTENT);
    assert_eq!(restore_of(&app, &planned).await["state"], "cancelled");
}

#[tokio::test]
async fn restore_that_ends_with_its_project_says_that_the_project_was_deleted() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("deleted").await;
    // The index is slow only in the database that a restore loads.
    project
        .sql(
            "CREATE FUNCTION slow(x int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN
                 IF pg_catalog.strpos(pg_catalog.current_database(), ''_restore_'') > 0 THEN
                     PERFORM pg_catalog.pg_sleep(600);
                 END IF;
                 RETURN x; END';
             CREATE TABLE items (id int); INSERT INTO items VALUES (1); CREATE INDEX ON items (slow(id))",
        )
        .await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let planned = plan(&app, &backup, &project).await;
    let run = start(&app, &planned, "/confirm", &project).await;
    let mut connection = project.connect().await;
    eventually("the index is being created", async || {
        let sleeping = "SELECT EXISTS (SELECT FROM pg_stat_activity
                                       WHERE wait_event = 'PgSleep' AND starts_with(datname, $1))";
        let sleeping = sqlx::query_scalar(sleeping).bind(format!("proj_{}_restore_", project.id));
        let is_sleeping: bool = sleeping.fetch_one(&mut connection).await.unwrap();
        is_sleeping.then_some(())
    })
    .await;
    sqlx::Connection::close(connection).await.unwrap();
    let path = format!("/admin/v1/projects/{}", project.id);
    let (status, body) = app.admin().delete_with(&path, json!({ "confirm": "deleted" })).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    let run = ended_run(&app, &run).await;
    assert_eq!((&run["status"], &run["errorText"]), (&json!("fail"), &json!("The project was deleted.")), "{run}");
}
