//! The platform from outside: over HTTP, on a real Postgres and a real S3 server.

mod support;

mod admin_access;
mod admin_audit;
mod admin_sign_in;
mod architecture;
mod cli_configuration;
mod cli_doctor;
mod cli_migrate;
mod cli_serve;
mod docs_compose;
mod docs_markdown;
mod docs_quickstart;
mod docs_tables;
mod docs_usage;
mod embedded_postgres;
mod embedded_start;
mod gate;
mod keys;
mod projects;
mod sql_editor;
mod sql_limits;
mod storage_access;
mod storage_buckets;
mod storage_cleanup;
mod storage_downloads;
mod storage_multipart;
mod storage_outage;
mod storage_paths;
mod storage_post;
mod storage_uploads;
