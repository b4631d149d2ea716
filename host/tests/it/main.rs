//! The platform from outside: over HTTP, on a real Postgres and a real S3 server.

mod support;

mod architecture;
mod data_access;
mod data_filters;
mod data_reads;
mod data_schema;
mod data_types;
mod data_writes;
mod docs_tables;
mod embedded_postgres;
mod projects;
