//! The admin surface: who calls it, what they changed, what runs here.
//!
//! [`protect`] goes around everything the admin listener serves. Not here: what is administered; each slice
//! has its own `admin_router`.

pub mod identity;

pub mod audit;

mod system;

use std::sync::Arc;

use axum::{Router, extract::FromRef, middleware::from_fn_with_state};
use sqlx::PgPool;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::db::ProjectPools;

pub use identity::{AdminCaller, AdminIdentity, create_sign_in_code, require_metrics_reader};
pub use system::SystemFacts;

/// What the admin surface itself needs of the process.
#[derive(Clone)]
pub struct AdminState {
    pub platform: PgPool,
    pub pools: ProjectPools,
    pub identity: Arc<AdminIdentity>,
    pub system: Arc<SystemFacts>,
}

pub fn router<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    AdminState: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(identity::routes::sign_in, identity::routes::who_am_i, identity::routes::sign_out))
        .routes(routes!(audit::routes::list_audit_entries))
        .routes(routes!(system::routes::get_system))
        .routes(routes!(system::routes::list_migrations))
}

/// Puts the admin surface's rules around all of its listener's routes, outermost first: a known `Host`, an
/// audit entry for every change, and a signed-in owner for every path under `/admin/v1`.
pub fn protect<S: Clone + Send + Sync + 'static>(router: Router<S>, state: &AdminState) -> Router<S> {
    router
        .layer(from_fn_with_state(state.clone(), identity::require_admin))
        .layer(from_fn_with_state(state.clone(), audit::write_audit_entry))
        .layer(from_fn_with_state(state.clone(), identity::require_known_host))
}

/// True for paths of the admin API, as opposed to the dashboard's and the probes'.
fn is_api_path(path: &str) -> bool {
    path == "/admin" || path.starts_with("/admin/")
}
