//! Buckets, signed uploads and downloads.

pub mod access;
pub mod buckets;
pub mod cleanup;
pub mod downloads;
pub mod multipart;
pub mod outage;
pub mod paths;
pub mod post;
pub mod uploads;
