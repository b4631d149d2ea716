//! Restores whose process is killed at each of their steps.

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::support::{ADMIN_TOKEN, Client, Hang, Postgres, ProgramVars, Serving, eventually, expire_leases};

/// Makes the statement that moves a restore to `state` hang, in the platform database.
async fn hang_at(platform: &mut PgConnection, state: &str) -> Hang {
    let condition = format!("NEW.state = '{state}' AND (NEW.new_database IS NOT NULL OR NEW.state = 'done')");
    Hang::at(platform, "UPDATE", "restores", &condition).await
}

pub(super) fn admin_of(serving: &Serving) -> Client {
    Client::new(&*serving.admin_url).with_header("x-dev-admin-token", ADMIN_TOKEN)
}

pub(super) async fn ended(admin: &Client, run: &Value) -> Value {
    let run = run["runId"].as_str().unwrap();
    eventually(&format!("the end of run {run}"), async || {
        let (_, run) = admin.get(&format!("/admin/v1/runs/{run}")).await;
        (!run["finishedAt"].is_null()).then_some(run)
    })
    .await
}

async fn plan_and_confirm(admin: &Client, backup: &Value, project: &Value) -> (String, Value) {
    let plan = format!("/admin/v1/backups/{}/restore", backup["id"].as_str().unwrap());
    let (status, restore) = admin.post(&plan, json!({ "projectId": project["project"]["id"] })).await;
    assert_eq!(status, StatusCode::CREATED, "{restore}");
    let path = format!("/admin/v1/restores/{}", restore["id"].as_str().unwrap());
    let (status, run) = admin.post(&format!("{path}/confirm"), json!({ "confirm": "Killed" })).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{run}");
    (path, run)
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_killed_at_any_step_changes_nothing_and_leaves_nothing() {
    let url = Postgres::shared().platform_database().await;
    let vars = ProgramVars::external(&url);
    let mut platform = PgConnection::connect(&url).await.unwrap();
    let mut serving = vars.serve(&[]);
    let (status, project) = admin_of(&serving).post("/admin/v1/projects", json!({ "name": "Killed" })).await;
    assert_eq!(status, StatusCode::CREATED, "{project}");
    let id = project["project"]["id"].as_str().unwrap();
    let run_sql = async |serving: &Serving, sql: &str| {
        let path = format!("/admin/v1/projects/{id}/sql");
        let (status, body) = admin_of(serving).post(&path, json!({ "sql": sql, "script": true })).await;
        assert_eq!((status, &body["failure"]), (StatusCode::OK, &Value::Null), "{body}");
    };
    run_sql(&serving, "CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)").await;
    let target = format!("project:{id}");
    let run = eventually("the start of a backup", async || {
        let (status, run) = admin_of(&serving).post("/admin/v1/backups", json!({ "target": target })).await;
        (status == StatusCode::ACCEPTED).then_some(run)
    })
    .await;
    ended(&admin_of(&serving), &run).await;
    let (_, page) = admin_of(&serving).get(&format!("/admin/v1/backups?target={target}")).await;
    let backup = page["items"][0].clone();
    run_sql(&serving, "INSERT INTO items VALUES (2)").await;
    let databases = async |platform: &mut PgConnection| -> Vec<String> {
        sqlx::query_scalar("SELECT datname::text FROM pg_database WHERE starts_with(datname, $1)")
            .bind(format!("proj_{id}"))
            .fetch_all(platform)
            .await
            .unwrap()
    };

    for step in ["loading", "checking", "swapping", "done"] {
        let hang = hang_at(&mut platform, step).await;
        let (path, run) = plan_and_confirm(&admin_of(&serving), &backup, &project).await;
        hang.reached(&mut platform).await;
        serving.kill();
        hang.end(&mut platform).await;
        expire_leases(&mut platform).await;
        serving = vars.serve(&[]);
        let admin = admin_of(&serving);
        let run = ended(&admin, &run).await;
        assert_eq!(run["status"], "fail", "{step}: {run}");
        let (_, restore) = admin.get(&path).await;
        assert_eq!(restore["state"], "failed", "{step}: {restore}");
        let api = Client::new(&*serving.public_url).with_header("x-api-key", project["secretKey"].as_str().unwrap());
        let (_, body) = api.get("/v1/db/items?order=id").await;
        assert_eq!(body["rows"], json!([{ "id": 1 }, { "id": 2 }]), "{step}: {body}");
        eventually("the removal of the restore's database", async || {
            let mut platform = PgConnection::connect(&url).await.unwrap();
            (databases(&mut platform).await.len() == 1).then_some(())
        })
        .await;
    }
    // The next restore succeeds.
    let admin = admin_of(&serving);
    let (path, run) = plan_and_confirm(&admin, &backup, &project).await;
    assert_eq!(ended(&admin, &run).await["status"], "success");
    assert_eq!(admin.get(&path).await.1["state"], "done");

    // A rollback that is killed before its swap is committed leaves the restored database, and can be repeated.
    let roll_back = async |admin: &Client| {
        let (status, run) = admin.post(&format!("{path}/rollback"), json!({ "confirm": "Killed" })).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{run}");
        run
    };
    let rows = async |serving: &Serving| {
        let api = Client::new(&*serving.public_url).with_header("x-api-key", project["secretKey"].as_str().unwrap());
        api.get("/v1/db/items?order=id").await.1["rows"].clone()
    };
    let hang = Hang::at(&mut platform, "UPDATE", "restores", "NEW.state = 'rolledBack'").await;
    let run = roll_back(&admin).await;
    hang.reached(&mut platform).await;
    serving.kill();
    hang.end(&mut platform).await;
    expire_leases(&mut platform).await;
    serving = vars.serve(&[]);
    let admin = admin_of(&serving);
    assert_eq!(ended(&admin, &run).await["status"], "fail");
    assert_eq!(admin.get(&path).await.1["state"], "done");
    assert_eq!(rows(&serving).await, json!([{ "id": 1 }]));
    let run = roll_back(&admin).await;
    assert_eq!(ended(&admin, &run).await["status"], "success");
    assert_eq!(admin.get(&path).await.1["state"], "rolledBack");
    assert_eq!(rows(&serving).await, json!([{ "id": 1 }, { "id": 2 }]));
}
