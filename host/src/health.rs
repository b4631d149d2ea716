//! Whether the process lives, and whether it can do its work.

use std::time::Duration;

use api_types::{Health, HealthCheck};
use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::App, http::ApiJson};

const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
}

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = Health)))]
async fn healthz() -> ApiJson<Health> {
    ApiJson(Health { status: "ok".to_owned(), checks: Vec::new() })
}

/// Postgres and the object store answer, too.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses((status = 200, body = Health), (status = 503, body = Health)))]
async fn readyz(State(app): State<App>) -> (StatusCode, ApiJson<Health>) {
    let postgres = async {
        let answered = tokio::time::timeout(CHECK_TIMEOUT, sqlx::query("SELECT 1").execute(app.platform())).await;
        matches!(answered, Ok(Ok(_)))
    };
    let storage = async { matches!(tokio::time::timeout(CHECK_TIMEOUT, app.store().ping()).await, Ok(Ok(()))) };
    let (postgres, storage) = tokio::join!(postgres, storage);
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
