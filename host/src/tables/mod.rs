//! The owner's view of a project's tables: what there is, and to whom it is open.
//!
//! The catalogue's grants are the one truth: nothing about exposure is kept anywhere else. Not here: rows (`data`).

mod exposure;
mod listing;
mod routes;

use axum::extract::FromRef;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{db::ProjectPools, projects::Projects};

/// What the routes need.
#[derive(Clone)]
pub struct TablesState {
    pub pools: ProjectPools,
}

/// Routes of the admin surface.
pub fn admin_router<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    TablesState: FromRef<S>,
    Projects: FromRef<S>,
{
    OpenApiRouter::new().routes(routes!(routes::list_tables)).routes(routes!(routes::update_exposure))
}
