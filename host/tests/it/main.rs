//! The platform from outside: over HTTP, on a real Postgres and a real S3 server.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests and their support code fail by panicking")]
#![allow(unreachable_pub, reason = "nothing is reachable from outside a test binary")]

mod support;

mod admin;
mod architecture;
mod auth;
mod authorization;
mod backups;
mod cli;
mod dashboard;
mod data;
mod db;
mod docs;
mod egress;
mod egress_bodies;
mod embedded;
mod events;
mod generated_requests;
mod http;
mod jobs;
mod notifications;
mod object_store;
mod openapi;
mod plugins;
mod projects;
mod request_errors;
mod resilience;
mod sql_editor;
mod storage;
mod tables;
mod transfers;
