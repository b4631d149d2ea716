//! Connections: the platform database (sqlx) and the projects' databases (pipelined tokio-postgres).
//!
//! Nothing above this folder knows how many connections there are or how statements share them. Not here:
//! what the statements say (each slice has its own), and who may run them (`projects::Caller`).

mod error;
mod statement;

mod connect;
mod connection;
mod exclusive;
mod kept_connection;
mod pool;
mod pools;

mod database_name;
pub mod dump;
pub mod programs;
pub mod restore;

pub mod audit;
pub mod migrations;
pub mod platform;
pub mod server;

pub use connect::{Credentials, ServerAddress};
pub use database_name::{DatabaseName, NoDatabaseName};
pub use error::DbError;
pub use exclusive::{ExclusiveClient, Notice};
pub use kept_connection::KeptConnection;
pub use pools::{PoolLimits, ProjectPools};
pub use statement::{DbRole, Statement, TextParam};
