//! The platform from outside: over HTTP, on a real Postgres and a real S3 server.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking, its support too")]
#![allow(unreachable_pub, reason = "nothing is reachable from outside a test binary")]

mod support;

mod architecture;
mod docs_tables;
mod embedded_postgres;
mod projects;
mod storage_access;
mod storage_buckets;
mod storage_cleanup;
mod storage_downloads;
mod storage_multipart;
mod storage_outage;
mod storage_paths;
mod storage_post;
mod storage_uploads;
