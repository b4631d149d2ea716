//! Connections: the platform database (sqlx) and the projects' databases (pipelined tokio-postgres).

mod error;
mod statement;

pub use error::DbError;
pub use statement::{DbRole, Statement, TextParam};
