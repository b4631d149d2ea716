use api_types::{Migration, Page, SystemInfo};
use axum::extract::State;

use crate::{admin::AdminState, error::ApiResult, http::ApiJson};

/// Get system information
///
/// Version, role and configuration of the process that responds.
#[utoipa::path(get, path = "/admin/v1/system", tag = "system", responses((status = 200, body = SystemInfo)))]
pub(crate) async fn get_system(State(state): State<AdminState>) -> ApiJson<SystemInfo> {
    let version: Result<String, _> = sqlx::query_scalar("SHOW server_version").fetch_one(&state.platform).await;
    let (open, budget) = state.pools.usage();
    let facts = &state.system;
    ApiJson(SystemInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        environment: facts.environment.as_str().to_owned(),
        role: facts.role.as_str().to_owned(),
        embedded: facts.embedded,
        started_at: facts.started_at,
        // Omitted while Postgres is down.
        postgres_version: version.ok(),
        project_connections: open as u32,
        project_connection_budget: budget as u32,
        public_url: facts.public_url.clone(),
        storage_public_endpoint: facts.storage_public_endpoint.clone(),
    })
}

/// List migrations
///
/// The migrations of the platform database, oldest first.
#[utoipa::path(get, path = "/admin/v1/migrations", tag = "system", responses((status = 200, body = Page<Migration>)))]
pub(crate) async fn list_migrations(State(state): State<AdminState>) -> ApiResult<ApiJson<Page<Migration>>> {
    let items = crate::db::migrations::status(&mut *state.platform.acquire().await?).await?;
    Ok(ApiJson(Page { items, next_cursor: None }))
}
