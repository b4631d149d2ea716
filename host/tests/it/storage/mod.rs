//! Buckets, signed uploads and downloads.

pub mod access;
pub mod buckets;

pub mod downloads;
pub mod multipart;
pub mod outage;
pub mod paths;
pub mod post;
pub mod sweep;
pub mod uploads;
