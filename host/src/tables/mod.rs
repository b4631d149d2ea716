//! The owner's view of a project's tables, and their exposure to publishable keys and signed-in users.
//!
//! Exposure is stored only as grants in the project's database. [`listing`] reads tables and grants, [`exposure`]
//! changes the grants.
//!
//! Not here: rows (`data`).

mod routes;

mod exposure;
mod listing;

use crate::db::ProjectPools;

pub(crate) use routes::*;

/// The state of the routes.
#[derive(Clone)]
pub struct TablesState {
    pub pools: ProjectPools,
}
