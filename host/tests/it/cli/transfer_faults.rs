//! Exports and imports whose process is killed at each of their steps.

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use super::restore_faults::{admin_of, ended};
use crate::{
    support::{
        Client, FaultProxy, HANGING_QUERY, Hang, Postgres, ProgramVars, Serving, create_hanging_query, end_sleeping,
        eventually, expire_leases, must_send, until_sleeping,
    },
    transfers::faults::until_nothing_is_stored,
};

/// A query whose export has 20 MB, which are sent in three parts.
const LARGE: &str = "SELECT repeat(md5(g::text), 100) FROM generate_series(1, 6500) g";

/// The moment at which a process is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// The process sends a request to the store that contains this text.
    Request(&'static str),
    /// The process updates a row of this table of the platform database that satisfies this condition.
    Update(&'static str, &'static str),
    /// The process inserts a row of the project's table for which this condition is true.
    Insert(&'static str),
    /// The process commits a transaction that inserted such a row.
    Commit(&'static str),
    /// The process runs a query in the project's database.
    Query,
}

/// A server that is killed and started again.
struct Killed {
    vars: ProgramVars,
    serving: Option<Serving>,
    platform: PgConnection,
    project: PgConnection,
    project_id: Value,
    store: FaultProxy,
}

impl Killed {
    async fn start() -> Self {
        let url = Postgres::shared().platform_database().await;
        let (store, endpoint) = FaultProxy::before_store().await;
        let vars = ProgramVars::external(&url).set("ATLASHUB_S3_ENDPOINT", &endpoint);
        let platform = PgConnection::connect(&url).await.unwrap();
        let serving = vars.serve(&[]);
        let (status, created) = admin_of(&serving).post("/admin/v1/projects", json!({ "name": "Killed" })).await;
        assert_eq!(status, StatusCode::CREATED, "{created}");
        let project_id = created["project"]["id"].clone();
        let (server, _) = url.rsplit_once('/').unwrap();
        let database = format!("{server}/proj_{}", project_id.as_str().unwrap());
        let project = PgConnection::connect(&database).await.unwrap();
        Self { vars, serving: Some(serving), platform, project, project_id, store }
    }

    fn admin(&self) -> Client {
        admin_of(self.serving.as_ref().unwrap())
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

    /// Starts an export or import, kills the server at this moment of it, and starts the server again. Returns the
    /// response to the start, after the end of the run.
    async fn kill_at(&mut self, moment: Moment, path: &str, request: Value) -> Value {
        let hang = match moment {
            Moment::Request(text) => {
                self.store.hold(text);
                None
            }
            Moment::Query => None,
            Moment::Update(table, condition) => Some(Hang::at(&mut self.platform, "UPDATE", table, condition).await),
            Moment::Insert(condition) => Some(Hang::at(&mut self.project, "INSERT", "items", condition).await),
            Moment::Commit(condition) => Some(Hang::at_commit(&mut self.project, "items", condition).await),
        };
        let started = self.start_run(path, request).await;
        let database = if matches!(moment, Moment::Update(..)) { &mut self.platform } else { &mut self.project };
        match moment {
            Moment::Request(_) => self.store.wait_until_held().await,
            _ => until_sleeping(database).await,
        }
        self.serving.take().unwrap().kill();
        match hang {
            Some(hang) => hang.end(database).await,
            None => end_sleeping(database).await,
        }
        expire_leases(&mut self.platform).await;
        self.store.clear();
        self.store.release();
        self.serving = Some(self.vars.serve(&[]));
        assert_eq!(ended(&self.admin(), &started).await["status"], "fail", "{moment:?}");
        started
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn export_killed_at_any_step_leaves_no_file() {
    let mut killed = Killed::start().await;
    create_hanging_query(&mut killed.project).await;
    let steps = [
        ("the run claims the export", Moment::Update("exports", "NEW.ready_at IS NULL"), "SELECT 1"),
        ("the rows are read", Moment::Query, HANGING_QUERY),
        ("a small file is stored", Moment::Request("x-id=PutObject"), "SELECT 1"),
        ("the upload of a large file begins", Moment::Request(".csv?uploads"), LARGE),
        ("the first part is sent", Moment::Request("partNumber=1&"), LARGE),
        ("the last part is sent", Moment::Request("partNumber=3&"), LARGE),
        ("a large file is completed", Moment::Request(".csv?uploadId="), LARGE),
        ("the export is recorded", Moment::Update("exports", "NEW.ready_at IS NOT NULL"), "SELECT 1"),
    ];
    for (step, moment, sql) in steps {
        let source = json!({ "kind": "query", "projectId": killed.project_id, "sql": sql });
        let request = json!({ "source": source, "format": "csv" });
        let started = killed.kill_at(moment, "/admin/v1/exports", request).await;
        let path = format!("/admin/v1/exports/{}", started["exportId"].as_str().unwrap());
        let (_, export) = killed.admin().get(&path).await;
        assert_eq!(export["state"], "failed", "{step}: {export}");
        until_nothing_is_stored("exports", &started["exportId"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn import_killed_at_any_step_changes_nothing_or_everything() {
    let mut killed = Killed::start().await;
    killed.sql("CREATE TABLE items (id int)").await;
    let csv: String = std::iter::once("id\n".to_owned()).chain((0..1000).map(|id| format!("{id}\n"))).collect();
    let claimed = "OLD.state = 'running' AND NEW.state = 'running'";
    let steps = [
        ("the run claims the import", Moment::Update("imports", claimed), "failed"),
        ("the file is read and a row inserted", Moment::Insert("NEW.id = 500"), "failed"),
        ("the transaction is recorded", Moment::Update("imports", "NEW.state = 'committing'"), "failed"),
        ("the transaction is committed", Moment::Commit("NEW.id = 500"), "failed"),
        ("the commit is recorded", Moment::Update("imports", "NEW.state = 'done'"), "done"),
        ("the file is removed", Moment::Request("DELETE /atlashub-platform/imports/"), "done"),
    ];
    for (step, moment, state) in steps {
        sqlx::raw_sql("TRUNCATE items").execute(&mut killed.project).await.unwrap();
        let request = json!({
            "projectId": killed.project_id, "table": "items", "format": "csv", "sizeBytes": csv.len(),
        });
        let (status, created) = killed.admin().post("/admin/v1/imports", request).await;
        assert_eq!(status, StatusCode::CREATED, "{created}");
        must_send(&created, csv.clone()).await;
        let path = format!("/admin/v1/imports/{}", created["import"]["id"].as_str().unwrap());
        killed.kill_at(moment, &format!("{path}/start"), json!({})).await;
        let (_, import) = killed.admin().get(&path).await;
        let rows = if state == "done" { 1000 } else { 0 };
        assert_eq!((&import["state"], &import["rowsInserted"]), (&json!(state), &json!(rows)), "{step}: {import}");
        assert_eq!(killed.rows().await, rows, "{step}");
        if state == "done" {
            until_nothing_is_stored("imports", &import["id"]).await;
            continue;
        }
        // The next attempt succeeds.
        let started = killed.start_run(&format!("{path}/start"), json!({})).await;
        assert_eq!(ended(&killed.admin(), &started).await["status"], "success", "{step}");
        assert_eq!(killed.rows().await, 1000, "{step}");
    }
}
