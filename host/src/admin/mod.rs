//! The admin surface: authentication of the owner, the audit log, system information and the overview.
//!
//! - `identity`: authenticates the caller by Cloudflare Access, the development token or a session.
//! - `audit`: records every change, and lists the records.
//! - `system`: version, configuration, services, the disk, nodes and migrations.
//! - `overview`: the state of the whole installation, and what needs the owner's attention.
//!
//! [`protect`] wraps everything that the admin listener serves. Deliberately absent: the resources that are
//! administered; their handlers are in their slices.

pub mod identity;

pub mod audit;

mod overview;
mod system;

use std::sync::Arc;

use axum::{Router, middleware::from_fn_with_state};
use sqlx::PgPool;

use crate::{db::ProjectPools, object_store::ObjectStore};

pub(crate) use audit::routes::*;
pub(crate) use identity::routes::*;
pub(crate) use overview::routes::*;
pub(crate) use system::routes::*;

pub use identity::{AdminCaller, AdminIdentity, create_sign_in_code, require_metrics_reader};
pub use overview::OverviewState;
pub use system::{SystemFacts, leave as leave_nodes, report_regularly as report_node};

/// State of the admin surface's own handlers and middleware.
#[derive(Clone)]
pub struct AdminState {
    pub platform: PgPool,
    pub pools: ProjectPools,
    pub store: ObjectStore,
    pub identity: Arc<AdminIdentity>,
    pub system: Arc<SystemFacts>,
}

/// Wraps all routes of the admin listener in its middleware. The outermost checks `Host`. The others apply to paths
/// under `/admin`. From the outside in, they check that Postgres responds, write an audit entry for every change, and
/// authenticate the owner.
pub fn protect<S: Clone + Send + Sync + 'static>(router: Router<S>, state: &AdminState) -> Router<S> {
    router
        .layer(from_fn_with_state(state.clone(), identity::require_admin))
        .layer(from_fn_with_state(state.clone(), audit::write_audit_entry))
        .layer(from_fn_with_state(state.clone(), identity::require_database))
        .layer(from_fn_with_state(state.clone(), identity::require_known_host))
}

/// Returns whether the path belongs to the admin API, and not to the dashboard or the health checks.
fn is_api_path(path: &str) -> bool {
    path == "/admin" || path.starts_with("/admin/")
}
