//! Tests a real server on a free loopback port, with the AWS SDK and with plain HTTP requests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod buckets;
mod checksums;
mod conditions;
mod connections;
mod copies;
mod cors;
mod crash;
mod durability;
mod forms;
mod keys;
mod listing;
mod multipart;
mod objects;
mod presigned;
mod signatures;
mod support;
