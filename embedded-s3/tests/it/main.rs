//! The server as clients see it: a real one on a free loopback port, the AWS SDK and plain HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod buckets;
mod conditions;
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
mod support;
