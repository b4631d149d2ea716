//! Projects: what one is, how it comes and goes, its keys, and who a request comes from.
//!
//! A project is a row, a Postgres database with five roles, a bucket and API keys. Not here: its rows
//! (`data`), its files (`storage`), its tables' exposure (`tables`).

mod project;
mod queries;

mod database;
mod databases;
mod provisioning;
mod recovery;
mod removal;
mod removal_queries;

mod credentials;
mod master_key;

mod key_cache;
mod keys;
mod rate_limit;
mod user_tokens;

mod admin_project;
mod authenticate;
mod caller;
mod cors;

mod key_routes;
mod routes;

use std::sync::Arc;

use axum::extract::FromRef;
use futures_util::future::BoxFuture;
use sqlx::PgPool;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{db::ProjectPools, error::ApiResult, object_store::ObjectStore, secrets::Sealer};

pub use admin_project::AdminProject;
pub use authenticate::{PublicGate, RefusalLimit, authenticate};
pub use caller::{Caller, SecretCaller, UserClaims};
pub use credentials::SealedCredentials;
pub use database::close_shared_databases;
pub use databases::{DatabaseColumn, DatabaseEntry, DatabaseTable, Databases};
pub use key_cache::KeyCache;
pub use keys::remove_ended_keys;
pub use master_key::{
    ResealReport, check_seals, job_body_identity, job_headers_identity, plugin_secret_identity, reseal_all,
};
pub use project::{ProjectRef, Projects};
pub use rate_limit::RateLimits;
pub use recovery::{Unfinished, finish_unfinished, unfinished};
pub use removal::{delete_after_run, keep_after_run};
pub use user_tokens::{SigningKey, UserTokens, signing_key};

/// What the routes of projects and keys need.
#[derive(Clone)]
pub struct ProjectsState {
    pub platform: PgPool,
    /// URL of the platform database; projects' databases are on the same server.
    pub database_url: crate::config::Secret,
    pub sealer: Sealer,
    pub store: ObjectStore,
    pub pools: ProjectPools,
    pub projects: Projects,
    pub keys: KeyCache,
    pub max_object_bytes: i64,
    /// Slices above remember things of projects; this makes them forget one that is removed.
    pub forget: ForgetProject,
    /// Backups are above, too.
    pub begin_final_backup: BeginFinalBackup,
}

/// Called with the id of a project that is being removed.
pub type ForgetProject = Arc<dyn Fn(&str) + Send + Sync>;

/// Begins a backup of the project with this id; answers the run.
pub type BeginFinalBackup = Arc<dyn Fn(String) -> BoxFuture<'static, ApiResult<Uuid>> + Send + Sync>;

/// Routes of the admin surface.
pub fn admin_router<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    ProjectsState: FromRef<S>,
    Projects: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(routes::list_projects, routes::create_project))
        .routes(routes!(routes::get_project, routes::update_project, routes::delete_project))
        .routes(routes!(key_routes::list_keys, key_routes::create_key))
        .routes(routes!(key_routes::revoke_key))
        .routes(routes!(key_routes::rotate_key))
}
