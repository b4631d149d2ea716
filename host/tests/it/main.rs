//! The platform from outside: over HTTP, on a real Postgres and a real S3 server.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking, its support too")]
#![allow(unreachable_pub, reason = "nothing is reachable from outside a test binary")]

mod support;

mod admin_access;
mod admin_audit;
mod admin_sign_in;
mod architecture;
mod authorization;
mod backups_catalogue;
mod backups_dump;
mod cli_configuration;
mod cli_doctor;
mod cli_logs;
mod cli_migrate;
mod cli_plugin;
mod cli_serve;
mod data_access;
mod data_filters;
mod data_reads;
mod data_schema;
mod data_types;
mod data_writes;
mod docs_compose;
mod docs_markdown;
mod docs_quickstart;
mod docs_tables;
mod docs_usage;
mod egress;
mod embedded_postgres;
mod embedded_start;
mod gate;
mod keys;
mod made_up_requests;
mod maintenance_sweeps;
mod notifications;
mod notifications_delivery;
mod object_uploads;
mod plugins_capabilities;
mod plugins_folder;
mod plugins_guests;
mod plugins_hostile;
mod plugins_routes;
mod plugins_trust;
mod projects;
mod projects_recovery;
mod resilience;
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
