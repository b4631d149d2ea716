//! Projects: their life cycle, their API keys, and the authentication of requests to the public surface.
//!
//! A project is a row, a Postgres database with at least five roles, a bucket and API keys. In reading order:
//!
//! - `project`, `queries`: the project as the rest of the host sees it, and its look-up.
//! - `row_cache`: a cache of rows that does not store what was read before a change.
//! - `auth_settings`: a project's settings of end-user login, cached.
//! - `keys`: the format, creation, rotation and revocation of API keys, and the cache that each request reads.
//! - `gate`: the middleware of the public surface. It checks key, origin, rate limit, user token and, if the project
//!   requires it, the user's session, and creates the [`Caller`].
//! - `lifecycle`: creating, changing and deleting projects; recovery after a crash; databases and their credentials.
//! - `totals`: the list of projects with their sizes and counts.
//! - `admin_project`: the extractor for the path segment `{project}` of the admin surface.
//!
//! Deliberately absent: end users and their sessions (`auth`), a project's rows (`data`), its files (`storage`), the
//! exposure of its tables (`tables`).

mod admin_project;
mod auth_settings;
mod project;
mod queries;
mod row_cache;

mod gate;
mod keys;
mod lifecycle;
mod totals;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    db::ProjectPools,
    error::ApiResult,
    object_store::ObjectStore,
    secrets::{SealedColumn, Sealer},
};

pub(crate) use keys::routes::*;
pub(crate) use lifecycle::routes::*;
pub(crate) use totals::routes::*;

pub use admin_project::AdminProject;
pub use auth_settings::{AuthSettingsCache, StoredAuthSettings, read_auth_settings};
pub use gate::{
    Caller, ClaimsMaker, ClaimsOfUser, PublicGate, RateLimits, SecretCaller, SessionCheck, SignedInCaller, SigningKey,
    UserClaims, UserTokens, WrongKeyLimit, authenticate, rotate_signing_key, signing_key,
};
pub use keys::{KeyCache, remove_expired_or_revoked_keys};
pub use lifecycle::{
    AuthResources, AuthTables, DatabaseColumn, DatabaseDifferences, DatabaseEntry, DatabaseTable, Databases,
    NewProjectSql, OnSwapped, PluginQueries, RESTORED, RecordSwap, ReplacementError, Replacements, SealedCredentials,
    Swap, TakeOverAuth, UnfinishedProject, apply_extension_setting, auth_grants, close_shared_databases,
    compare_databases, delete_after_run, ensure_resources, finish_unfinished_projects, keep_after_run, parse_tables,
    prepare_auth_role, privileges_of_public, restore_uploads_prefix, take_over_restored, unfinished_projects,
};
pub use project::{ProjectRef, Projects};
pub(crate) use row_cache::RowCache;
pub use totals::{Survey, Surveys};

/// Columns of this slice that are sealed under the master key.
pub const SEALED_COLUMNS: &[SealedColumn] = &[lifecycle::SEALED_PASSWORD, gate::SEALED_SIGNING_KEY];

/// State of the handlers of projects and keys.
#[derive(Clone)]
pub struct ProjectsState {
    pub platform: PgPool,
    /// URL of the platform database. Projects' databases are on the same server.
    pub database_url: crate::config::Secret,
    pub sealer: Sealer,
    pub store: ObjectStore,
    pub pools: ProjectPools,
    pub projects: Projects,
    /// Cached counts from projects' own databases.
    pub surveys: Surveys,
    pub keys: KeyCache,
    /// `maxObjectBytes` of the buckets that are created with a project.
    pub max_object_bytes: i64,
    /// Whether a project's SQL may create extensions that Postgres trusts.
    pub allow_create_extension: bool,
    /// Clears the caches for a project in slices that depend on this one.
    pub forget: ForgetProject,
    /// Starts a backup. The slice `backups` depends on this one, so it can't be called directly.
    pub begin_final_backup: BeginFinalBackup,
}

impl ProjectsState {
    /// Returns all projects, newest first.
    ///
    /// # Errors
    /// Returns the error of the query.
    pub async fn all(&self) -> Result<Vec<ProjectRef>, sqlx::Error> {
        queries::all_projects(&self.platform).await
    }
}

/// Called with the id of a project that was deleted.
pub type ForgetProject = Arc<dyn Fn(&str) + Send + Sync>;

/// Starts a backup of the project with this id and returns the id of the run.
pub type BeginFinalBackup = Arc<dyn Fn(String) -> BoxFuture<'static, ApiResult<Uuid>> + Send + Sync>;
