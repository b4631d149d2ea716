//! Connections to Postgres.

pub mod dedicated_connections;
pub mod tls;
