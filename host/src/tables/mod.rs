//! The owner's view of a project's tables, and their exposure to publishable keys and signed-in users.
//!
//! Exposure is stored only as grants in the project's database. [`listing`] reads tables and grants, [`exposure`]
//! changes the grants. [`access`] determines from grants and row-level security which rows each caller can reach: all,
//! none, those that policies allow, or, of a view, those that the caller can reach in its tables. [`detail`] reads one
//! table with all its details and its [`definition`] as SQL.
//!
//! Deliberately absent: rows (`data`).

mod routes;

mod exposure;
mod listing;

mod access;

mod definition;
mod detail;

use crate::db::ProjectPools;

pub(crate) use routes::*;

/// The state of the routes.
#[derive(Clone)]
pub struct TablesState {
    pub pools: ProjectPools,
}
