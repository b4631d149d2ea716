//! The platform from outside: over HTTP, on a real Postgres and a real S3 server.

mod support;

mod architecture;
mod docs_tables;
mod embedded_postgres;
mod projects;
