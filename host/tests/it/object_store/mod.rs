//! The S3 client.

pub mod uploads;
