//! Health checks: `/healthz` (the process runs) and `/readyz` (its dependencies can be reached).

use std::time::{Duration, Instant};

use api_types::{Health, HealthCheck};
use axum::{extract::State, http::StatusCode};
use tokio::sync::Mutex;

use crate::{app::App, http::ApiJson};

const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum age of a result that is returned again. `/readyz` is open to everyone. Many requests to it must not cause
/// as many requests to the dependencies.
const MAX_RESULT_AGE: Duration = Duration::from_millis(100);

/// The latest result of `/readyz`. The lock is held during a check, so one runs at a time.
#[derive(Default)]
pub(crate) struct Readiness(Mutex<Option<(Instant, Dependencies)>>);

/// The dependencies, and for each whether it can be reached.
#[derive(Clone, Copy)]
struct Dependencies {
    postgres: bool,
    storage: bool,
}

impl Readiness {
    async fn check(&self, app: &App) -> Dependencies {
        let mut latest = self.0.lock().await;
        if let Some((at, result)) = *latest
            && at.elapsed() < MAX_RESULT_AGE
        {
            return result;
        }
        let postgres = async {
            let answered = tokio::time::timeout(CHECK_TIMEOUT, sqlx::query("SELECT 1").execute(app.platform())).await;
            matches!(answered, Ok(Ok(_)))
        };
        let storage = async { matches!(tokio::time::timeout(CHECK_TIMEOUT, app.store().ping()).await, Ok(Ok(()))) };
        let (postgres, storage) = tokio::join!(postgres, storage);
        let result = Dependencies { postgres, storage };
        *latest = Some((Instant::now(), result));
        result
    }
}

/// Check the process
///
/// Returns 200 while the process runs.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = Health)))]
pub(crate) async fn healthz() -> ApiJson<Health> {
    ApiJson(Health { status: "ok".to_owned(), checks: Vec::new() })
}

/// Check the dependencies
///
/// Returns 200 if Postgres and the object store can be reached, else 503.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(crate) async fn readyz(State(app): State<App>) -> (StatusCode, ApiJson<Health>) {
    let Dependencies { postgres, storage } = app.readiness().check(&app).await;
    let checks = vec![
        HealthCheck { name: "postgres".to_owned(), ok: postgres },
        HealthCheck { name: "storage".to_owned(), ok: storage },
    ];
    if postgres && storage {
        (StatusCode::OK, ApiJson(Health { status: "ok".to_owned(), checks }))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, ApiJson(Health { status: "unavailable".to_owned(), checks }))
    }
}
