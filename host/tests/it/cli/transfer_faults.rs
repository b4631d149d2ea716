//! Exports and imports whose process is killed at each of their steps.

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use super::restore_faults::{admin_of, ended};
use crate::{
    support::{
        Client, HANGING_QUERY, Hang, Postgres, ProgramVars, Serving, create_hanging_query, end_sleeping, eventually,
        must_send, until_sleeping,
    },
    transfers::faults::until_nothing_is_stored,
};

/// A server that is killed and started again.
struct Killed {
    vars: ProgramVars,
    serving: Serving,
    platform: PgConnection,
    project: PgConnection,
    project_id: Value,
}

impl Killed {
    async fn start() -> Self {
        let url = Postgres::shared().platform_database().await;
        let vars = ProgramVars::external(&url).set("ATLASHUB_JOB_LEASE_SECONDS", "5");
        let platform = PgConnection::connect(&url).await.unwrap();
        let serving = vars.serve(&[]);
        let (status, created) = admin_of(&serving).post("/admin/v1/projects", json!({ "name": "Killed" })).await;
        assert_eq!(status, StatusCode::CREATED, "{created}");
        let project_id = created["project"]["id"].clone();
        let (server, _) = url.rsplit_once('/').unwrap();
        let database = format!("{server}/proj_{}", project_id.as_str().unwrap());
        let project = PgConnection::connect(&database).await.unwrap();
        Self { vars, serving, platform, project, project_id }
    }

    fn admin(&self) -> Client {
        admin_of(&self.serving)
    }

    /// Runs SQL as the project's owner.
    async fn sql(&self, sql: &str) {
        let path = format!("/admin/v1/projects/{}/sql", self.project_id.as_str().unwrap());
        let (status, body) = self.admin().post(&path, json!({ "sql": sql, "script": true })).await;
        assert_eq!((status, &body["failure"]), (StatusCode::OK, &Value::Null), "{body}");
    }

    /// Starts an export or import, and retries while the plugin is still loading.
    async fn start_run(&self, path: &str, request: Value) -> Value {
        eventually("the start of a run", async || {
            let (status, started) = self.admin().post(path, request.clone()).await;
            assert_ne!(status, StatusCode::BAD_REQUEST, "{started}");
            (status == StatusCode::ACCEPTED).then_some(started)
        })
        .await
    }

    async fn rows(&mut self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM items").fetch_one(&mut self.project).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_an_export_leaves_no_file() {
    let mut killed = Killed::start().await;
    let query = |sql: &str, project: &Value| {
        let source = json!({ "kind": "query", "projectId": project, "sql": sql });
        json!({ "source": source, "format": "csv" })
    };
    create_hanging_query(&mut killed.project).await;
    let steps = [
        (Some("NEW.ready_at IS NULL"), "SELECT 1"),
        (None, HANGING_QUERY),
        (Some("NEW.ready_at IS NOT NULL"), "SELECT 1"),
    ];
    for (condition, sql) in steps {
        let hang = match condition {
            Some(condition) => Some(Hang::at(&mut killed.platform, "UPDATE", "exports", condition).await),
            None => None,
        };
        let request = query(sql, &killed.project_id);
        let started = killed.start_run("/admin/v1/exports", request).await;
        match &hang {
            Some(hang) => hang.reached(&mut killed.platform).await,
            None => until_sleeping(&mut killed.project).await,
        }
        killed.serving.kill();
        match hang {
            Some(hang) => hang.end(&mut killed.platform).await,
            None => end_sleeping(&mut killed.project).await,
        }
        killed.serving = killed.vars.serve(&[]);
        assert_eq!(ended(&killed.admin(), &started).await["status"], "fail", "{condition:?}");
        let path = format!("/admin/v1/exports/{}", started["exportId"].as_str().unwrap());
        let (_, export) = killed.admin().get(&path).await;
        assert_eq!(export["state"], "failed", "{condition:?}: {export}");
        until_nothing_is_stored("exports", &started["exportId"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_an_import_changes_nothing_or_everything() {
    let mut killed = Killed::start().await;
    killed.sql("CREATE TABLE items (id int)").await;
    let csv: String = std::iter::once("id\n".to_owned()).chain((0..1000).map(|id| format!("{id}\n"))).collect();
    let steps = [
        ("imports", "OLD.state = 'running' AND NEW.state = 'running'", "failed"),
        ("items", "NEW.id = 500", "failed"),
        ("imports", "NEW.state = 'committing'", "failed"),
        ("imports", "NEW.state = 'done'", "done"),
    ];
    for (table, condition, state) in steps {
        sqlx::raw_sql("TRUNCATE items").execute(&mut killed.project).await.unwrap();
        let request = json!({
            "projectId": killed.project_id, "table": "items", "format": "csv", "sizeBytes": csv.len(),
        });
        let (status, created) = killed.admin().post("/admin/v1/imports", request).await;
        assert_eq!(status, StatusCode::CREATED, "{created}");
        must_send(&created, csv.clone()).await;
        let path = format!("/admin/v1/imports/{}", created["import"]["id"].as_str().unwrap());
        let is_platform = table == "imports";
        let connection = if is_platform { &mut killed.platform } else { &mut killed.project };
        let hang = Hang::at(connection, if is_platform { "UPDATE" } else { "INSERT" }, table, condition).await;
        let started = killed.start_run(&format!("{path}/start"), json!({})).await;
        let connection = if is_platform { &mut killed.platform } else { &mut killed.project };
        hang.reached(connection).await;
        killed.serving.kill();
        hang.end(connection).await;
        killed.serving = killed.vars.serve(&[]);
        assert_eq!(ended(&killed.admin(), &started).await["status"], "fail", "{condition}");
        let (_, import) = killed.admin().get(&path).await;
        let rows = if state == "done" { 1000 } else { 0 };
        assert_eq!((&import["state"], &import["rowsInserted"]), (&json!(state), &json!(rows)), "{condition}: {import}");
        assert_eq!(killed.rows().await, rows, "{condition}");
        if state == "done" {
            until_nothing_is_stored("imports", &import["id"]).await;
            continue;
        }
        // The next attempt succeeds.
        let started = killed.start_run(&format!("{path}/start"), json!({})).await;
        assert_eq!(ended(&killed.admin(), &started).await["status"], "success", "{condition}");
        assert_eq!(killed.rows().await, 1000, "{condition}");
    }
}
