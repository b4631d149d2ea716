//! Connections to Postgres.

pub mod kept_connections;
pub mod tls;
