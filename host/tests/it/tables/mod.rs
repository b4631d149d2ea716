//! The owner's view of tables: lists, the details of one table, access to its rows, its rows as another caller sees
//! them, long values, several changes in one transaction, and the schema of a database.

pub mod access;
pub mod cells;
pub mod changes;
pub mod detail;
pub mod listing;
pub mod schema;
pub mod view_as;
