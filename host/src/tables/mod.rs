//! The owner's view of a project's tables: what there is, and to whom it is open.
//!
//! The catalogue's grants are the one truth: nothing about exposure is kept anywhere else. Not here: rows (`data`).

mod exposure;
mod listing;
mod routes;

use crate::db::ProjectPools;

pub(crate) use routes::*;

/// What the routes need.
#[derive(Clone)]
pub struct TablesState {
    pub pools: ProjectPools,
}
