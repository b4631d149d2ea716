//! The owner's view of tables: lists, one table in full, who can reach its rows, long values, changes made together,
//! all names of a database.

pub mod access;
pub mod cells;
pub mod changes;
pub mod detail;
pub mod listing;
pub mod schema;
