//! Objects that are replaced at the moment at which they are removed.

use reqwest::StatusCode;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use super::start_with_faulty_store;
use crate::support::{Store, TestApp, Uploads, code, eventually, must_send};

/// A locked record of an object. Requests that are about to remove the object wait.
struct LockedRecord(PgConnection);

impl LockedRecord {
    async fn of(app: &TestApp, path: &'static str) -> Self {
        let mut connection = PgConnection::connect(app.services.database_url.expose()).await.unwrap();
        sqlx::raw_sql("BEGIN").execute(&mut connection).await.unwrap();
        let lock = sqlx::query("SELECT FROM file_metadata WHERE path = $1 FOR UPDATE").bind(path);
        assert_eq!(lock.fetch_all(&mut connection).await.unwrap().len(), 1);
        Self(connection)
    }

    async fn wait_until_wanted(&self, app: &TestApp) {
        let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity
                                      WHERE datname = current_database() AND wait_event_type = 'Lock')";
        eventually("a request waits for the record", async || {
            sqlx::query_scalar::<_, bool>(waiting).fetch_one(app.app.platform()).await.unwrap()
        })
        .await;
    }

    async fn unlock(mut self) {
        sqlx::raw_sql("COMMIT").execute(&mut self.0).await.unwrap();
        self.0.close().await.unwrap();
    }
}

#[tokio::test]
async fn object_that_is_replaced_while_it_is_moved_is_kept() {
    // Other stores may ignore the condition of the deletion.
    if !Store::shared().is_embedded() {
        return;
    }
    let app = TestApp::start().await;
    let project = app.create_project("moved").await;
    let (admin, secret) = (app.admin(), project.secret());
    secret.upload("a.txt", "old").await;
    assert_eq!(secret.download("a.txt").await, b"old");
    let record = LockedRecord::of(&app, "a.txt").await;
    let path = project.path("/buckets/uploads/objects/move");
    let moving = admin.post(&path, json!({ "objectKey": "a.txt", "to": "b.txt" }));
    let replacing = async {
        record.wait_until_wanted(&app).await;
        let bucket = format!("proj-{}", project.id);
        app.app.store().put_small(&bucket, "uploads/a.txt", "text/plain", "new".into()).await.unwrap();
        record.unlock().await;
    };
    let ((status, error), ()) = tokio::join!(moving, replacing);
    assert_eq!((status, code(&error)), (StatusCode::CONFLICT, "conflict"), "{error}");
    assert_eq!((secret.download("a.txt").await, secret.download("b.txt").await), (b"new".to_vec(), b"old".to_vec()));
}

#[tokio::test]
async fn object_that_replaces_one_above_its_limit_is_kept() {
    if !Store::shared().is_embedded() {
        return;
    }
    let (app, store) = start_with_faulty_store().await;
    let project = app.create_project("oversize").await;
    let secret = project.secret();
    let signed = secret.sign("a.txt", json!({ "maxSize": 4 })).await;
    must_send(&signed, "too large").await;
    let record = LockedRecord::of(&app, "a.txt").await;
    let looking_up = secret.sign_download("a.txt");
    let replacing = async {
        record.wait_until_wanted(&app).await;
        // The last lookup before the deletion still finds the object that is too large.
        store.pause_response("HEAD /proj-", 5);
        record.unlock().await;
        store.wait_until_held().await;
        must_send(&signed, "good").await;
        assert_eq!(store.clear(), [""; 0]);
        store.resume();
    };
    let ((status, body), ()) = tokio::join!(looking_up, replacing);
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(secret.download("a.txt").await, b"good");
}
