//! The platform from outside: over HTTP, on a real Postgres and a real S3 server.

mod support;

mod admin_access;
mod admin_audit;
mod admin_sign_in;
mod architecture;
mod docs_tables;
mod embedded_postgres;
mod gate;
mod keys;
mod projects;
mod sql_editor;
mod sql_limits;
