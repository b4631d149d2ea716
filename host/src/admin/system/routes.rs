//! Handlers of system information and of migrations.

use std::time::Duration;

use api_types::{ErrorBody, Migration, Page, PageQuery, RunStarted, SystemInfo};
use axum::extract::State;
use serde_json::json;

use super::{measure, nodes};
use crate::{
    admin::AdminState,
    error::ApiResult,
    http::{ApiJson, ApiQuery, NoQuery, PageRequest},
    jobs::{Jobs, NewRun, RunStartedResponse, run_started},
};

/// The first-party plugin that applies migrations, and its job.
const MIGRATIONS_PLUGIN: &str = "migrations";
const APPLY_JOB: &str = "apply";
const APPLY_TIMEOUT: Duration = Duration::from_secs(3600);

/// Get system information
///
/// Version, role, configuration and disk of the process that responds, whether Postgres and the object store can be
/// reached, and the processes of the installation that reported within a day.
#[utoipa::path(get, path = "/admin/v1/system", tag = "system", responses((status = 200, body = SystemInfo)))]
pub(crate) async fn get_system(State(state): State<AdminState>, _: NoQuery) -> ApiResult<ApiJson<SystemInfo>> {
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
#[utoipa::path(get, path = "/admin/v1/migrations", tag = "system", params(PageQuery),
    responses((status = 200, body = Page<Migration>), (status = 400, body = ErrorBody)))]
pub(crate) async fn list_migrations(
    State(state): State<AdminState>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> ApiResult<ApiJson<Page<Migration>>> {
    let request = PageRequest::<i64>::parse(&query)?;
    let mut migrations = crate::db::migrations::status(&mut *state.platform.acquire().await?).await?;
    migrations.retain(|migration| request.after.is_none_or(|after| migration.version > after));
    Ok(ApiJson(request.page(migrations, |migration| migration.version)))
}

/// Apply pending migrations
///
/// Starts a run that applies the pending migrations of this version, in order and under a lock. A server also applies
/// them when it starts, so normally none are pending.
#[utoipa::path(post, path = "/admin/v1/migrations/apply", tag = "system",
    responses((status = 202, body = RunStarted), (status = 422, body = ErrorBody)))]
pub(crate) async fn apply_migrations(State(jobs): State<Jobs>, _: NoQuery) -> ApiResult<RunStartedResponse> {
    let run = NewRun {
        plugin: MIGRATIONS_PLUGIN.to_owned(),
        plugin_job: APPLY_JOB.to_owned(),
        params: json!({}),
        project_id: None,
        timeout: APPLY_TIMEOUT,
    };
    Ok(run_started(jobs.start_run(&run).await?, json!({})))
}
