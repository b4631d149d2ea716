//! The platform from outside: over HTTP, on a real Postgres and a real S3 server.

mod support;

mod architecture;
mod docs_compose;
mod docs_markdown;
mod docs_quickstart;
mod docs_tables;
mod docs_usage;
mod embedded_postgres;
mod gate;
mod keys;
mod projects;
