//! Postgres: connections to the platform database (sqlx) and to projects' databases (pipelined tokio-postgres),
//! dumps and restores, queries of plugins.
//!
//! Code that uses this folder depends neither on the number of open connections nor on how statements share them.
//!
//! In reading order:
//! - Vocabulary: `statement`, `rows`, `database_name`, `error`.
//! - The platform database: `server` (waits for it at start), `migrations`, `platform` (the pool),
//!   `dedicated_connection`, `ids` (ids that sort by time), `audit`.
//! - Projects' databases: `availability` (whether the server responds), `connect` (opens a connection),
//!   `log_in` (logs in to a project's database), `session_settings`, `wire` (keeps large rows out of memory, and makes
//!   one transaction of several statements), `driver` (the task of a connection), `prepared` (prepared statements, and
//!   when they are stale), `connection` (runs statements: pipelined, together or alone), `failure` (classifies failures
//!   of statements), `checkout` (a connection reserved for a statement), `exclusive` (a connection for a single
//!   caller), `sharing` (the queue of requests that can be sent together), `lookups` (several lookups in one
//!   statement), `writes` (several writes in one transaction), `pool` (the connections of one project and role),
//!   `pools` (all of them, under one budget), `follow_ups` (a statement and those that follow from its result, in one
//!   transaction).
//! - Queries of plugins: `query`.
//! - Postgres's own programs: `programs`, `dump`, `restore`.
//!
//! Deliberately absent: the SQL of a slice (in the slice's `queries.rs`), and permissions (`projects::Caller`).

mod database_name;
mod error;
mod rows;
mod statement;

pub mod audit;
mod dedicated_connection;
pub mod ids;
pub mod migrations;
pub mod platform;
pub mod server;

mod availability;
mod checkout;
mod connect;
mod connection;
mod driver;
mod exclusive;
mod failure;
mod follow_ups;
mod log_in;
mod lookups;
mod pool;
mod pools;
mod prepared;
mod session_settings;
mod sharing;
mod wire;
mod writes;

pub mod dump;
pub mod programs;
pub mod query;
pub mod restore;

pub use availability::{Availability, ServerDown};
pub use connect::{Credentials, ServerAddress};
pub use database_name::{DatabaseName, InvalidDatabaseName, is_project_id, project_database};
pub use dedicated_connection::DedicatedConnection;
pub use driver::Notice;
pub use error::{DbError, is_in_function};
pub use exclusive::{ExclusiveClient, PrepareError};
pub use follow_ups::FollowUps;
pub use pools::{LookupKey, PoolLimits, ProjectPools};
pub use rows::RowSink;
pub use statement::{DbRole, Statement, TextParam};
pub use wire::{is_error_too_large, is_row_too_large};
