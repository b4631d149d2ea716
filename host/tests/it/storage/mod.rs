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

use crate::support::{FaultProxy, Store, TestApp};

/// Starts a platform whose connections to the store can be made to fail. Clients of signed URLs connect to the store
/// itself.
async fn start_with_faulty_store() -> (TestApp, FaultProxy) {
    let (store, endpoint) = FaultProxy::before_store().await;
    let app = TestApp::builder()
        .var("ATLASHUB_S3_ENDPOINT", &endpoint)
        .var("ATLASHUB_S3_PUBLIC_ENDPOINT", &Store::shared().endpoint)
        .start()
        .await;
    (app, store)
}
