//! The S3 client.

mod objects;
pub mod uploads;
