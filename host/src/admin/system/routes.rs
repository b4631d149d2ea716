use api_types::{Migration, Page, SystemInfo};
use axum::extract::State;

use super::{measure, nodes};
use crate::{admin::AdminState, error::ApiResult, http::ApiJson};

/// Get system information
///
/// Version, role, configuration and disks of the process that responds, whether Postgres and the object store can be
/// reached, and the other processes of the installation.
#[utoipa::path(get, path = "/admin/v1/system", tag = "system", responses((status = 200, body = SystemInfo)))]
pub(crate) async fn get_system(State(state): State<AdminState>) -> ApiResult<ApiJson<SystemInfo>> {
    let size = sqlx::query_scalar("SELECT pg_database_size(current_database())").fetch_one(&state.platform);
    let ((postgres, postgres_version), store, disk, size, nodes) = tokio::join!(
        measure::postgres(&state.platform),
        measure::store(&state.store),
        measure::data_disk(&state.system),
        size,
        nodes::nodes(&state.platform, state.system.node_id),
    );
    let (open, budget) = state.pools.usage();
    let facts = &state.system;
    Ok(ApiJson(SystemInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        environment: facts.environment.as_str().to_owned(),
        role: facts.role.as_str().to_owned(),
        embedded: facts.embedded,
        started_at: facts.started_at,
        postgres_version,
        project_connections: open as u32,
        project_connection_budget: budget as u32,
        public_url: facts.public_url.clone(),
        storage_public_endpoint: facts.storage_public_endpoint.clone(),
        postgres,
        store,
        platform_database_bytes: size.ok(),
        disks: disk.into_iter().collect(),
        nodes: nodes?,
        plugin_dir: facts.plugin_dir.display().to_string(),
        configuration: facts.configuration.clone(),
    }))
}

/// List migrations
///
/// The migrations of the platform database, oldest first.
#[utoipa::path(get, path = "/admin/v1/migrations", tag = "system", responses((status = 200, body = Page<Migration>)))]
pub(crate) async fn list_migrations(State(state): State<AdminState>) -> ApiResult<ApiJson<Page<Migration>>> {
    let items = crate::db::migrations::status(&mut *state.platform.acquire().await?).await?;
    Ok(ApiJson(Page { items, next_cursor: None }))
}
