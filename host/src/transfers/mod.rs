//! Exports of tables, queries and databases to files in storage, and imports of files into tables.
//!
//! A request inserts a row and starts a run of the plugin `import-export`. The plugin moves the bytes of the file
//! between this module and the platform's bucket, through `plugins::capabilities`. No API key can access that bucket;
//! the owner uploads and downloads with signed URLs, until they expire.
//!
//! Postgres writes and reads the values of the files, so that they are exact: an export or import converts no value to
//! a Rust type.
//!
//! Deliberately absent: dumping (`db::dump`), uploading (`object_store`), the checks of a query (`sql_editor`) and of a
//! filter (`data`), and the state of runs (`jobs`).
//!
//! Reading order: `exports`, `imports`, `postgres` (settings and errors of sessions), `progress` (of the runs of this
//! process), `plugin_access` (the operations for plugins), `sweep` (removes what has expired).

mod exports;
mod imports;
mod plugin_access;
mod postgres;
mod progress;
mod sweep;

use std::borrow::Cow;

use axum::{Extension, http::StatusCode};
use serde_json::json;
use sqlx::PgPool;

use crate::{
    data::DataService,
    error::{ApiError, Code},
    http::AuditDetails,
    jobs::Jobs,
    object_store::ObjectStore,
    projects::{Databases, Projects},
    sql_editor::SqlEditorState,
};

pub(crate) use exports::routes::*;
pub(crate) use imports::routes::*;

pub use sweep::{clean_up, sweep};

use plugin_access::platform_error;
use progress::RunningTransfers;

/// Name of the plugin that carries out the work.
pub const PLUGIN: &str = "import-export";

/// The operations for plugins. Cheap to clone.
#[derive(Clone)]
pub struct Transfers {
    platform: PgPool,
    store: ObjectStore,
    databases: Databases,
    /// Builds the queries of exports with a filter.
    data: DataService,
    running: RunningTransfers,
}

impl Transfers {
    pub fn new(platform: PgPool, store: ObjectStore, databases: Databases, data: DataService) -> Self {
        Self { platform, store, databases, data, running: RunningTransfers::default() }
    }
}

/// State of the routes.
#[derive(Clone)]
pub struct TransfersState {
    pub platform: PgPool,
    pub store: ObjectStore,
    pub projects: Projects,
    pub data: DataService,
    pub editor: SqlEditorState,
    pub jobs: Jobs,
}

/// The error of a refused request, with the details for the request's audit entry.
type Refused = (Option<Extension<AuditDetails>>, ApiError);

/// Names the project in the audit entry of a refused request, because the request's path does not name the project. The
/// id of an unknown project is not recorded.
fn refused(error: ApiError, project: Option<&str>) -> Refused {
    let details = project.filter(|_| error.code() != Code::NotFound);
    (details.map(|id| Extension(AuditDetails(json!({ "projectId": id })))), error)
}

/// Creates a 400 about a field of the request. Forms show its message at the field.
fn invalid_field(field: &'static str, message: impl Into<Cow<'static, str>>) -> ApiError {
    ApiError::invalid(message).with_detail("field", field.into())
}

/// Adds the field of the request that a 400 is about.
fn with_field(error: ApiError, field: &'static str) -> ApiError {
    if error.status() == StatusCode::BAD_REQUEST { error.with_detail("field", field.into()) } else { error }
}
