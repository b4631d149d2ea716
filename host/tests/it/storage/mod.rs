//! Buckets, paths, signed uploads and downloads, sweeps, and outages of the object store.

pub mod access;
pub mod buckets;
pub mod bulk_deletion;
pub mod downloads;
pub mod limits;
pub mod multipart;
pub mod objects;
pub mod outage;
pub mod paths;
pub mod post;
pub mod quotas;
mod replaced;
pub mod staged;
pub mod sweep;
pub mod uploads;
