//! Checks the object store: it must be reachable and writable, and its clock must agree with this machine's, because
//! signatures contain the time.

use bytes::Bytes;
use chrono::{TimeDelta, Utc};

use super::report::Report;
use crate::{
    config::ExternalStorageConfig,
    object_store::{ObjectStore, PLATFORM_BUCKET, StoreError, StoreResult},
};

/// Maximum difference between the clocks. A larger one is reported as a problem. S3 rejects signatures if the clocks
/// differ by more than 15 minutes.
const CLOCK_MAX_SKEW: TimeDelta = TimeDelta::minutes(5);

pub(super) async fn check(config: &ExternalStorageConfig, report: &mut Report) {
    let store = ObjectStore::new(config);
    let skew = match probe(&store).await {
        Ok(skew) => skew,
        Err(error) => return report.problem("storage", explain(&config.endpoint, &error)),
    };
    report.ok("storage", format!("{} stored, returned and removed an object", config.endpoint));
    match skew {
        Some(skew) if skew.abs() > CLOCK_MAX_SKEW => report.problem(
            "clock",
            format!(
                "the store's clock is {} s {} this machine's, so signed URLs fail or stay valid too long: synchronize \
                 both with NTP.",
                skew.abs().num_seconds(),
                if skew > TimeDelta::zero() { "ahead of" } else { "behind" }
            ),
        ),
        Some(_) => report.ok("clock", "agrees with the store's"),
        None => report.note("clock", "the store doesn't report the time of an object"),
    }
}

/// Stores, reads and removes an object. Returns the time by which the store's clock is ahead, computed from the
/// object's modification time.
async fn probe(store: &ObjectStore) -> StoreResult<Option<TimeDelta>> {
    const CONTENT: &[u8] = b"written by `atlashub doctor`, which removes it again\n";
    let key = format!("doctor/{}", uuid::Uuid::now_v7());
    store.ensure_bucket(PLATFORM_BUCKET).await?;
    store.put_small(PLATFORM_BUCKET, &key, "text/plain", Bytes::from_static(CONTENT)).await?;
    let written_at = Utc::now();
    let read = async {
        let modified_at = store.head(PLATFORM_BUCKET, &key).await?.and_then(|meta| meta.last_modified);
        let content = store.get_small(PLATFORM_BUCKET, &key, CONTENT.len()).await?;
        if content != CONTENT {
            return Err(StoreError::Other {
                operation: "GetObject",
                cause: anyhow::anyhow!("the content differs from what was written"),
            });
        }
        Ok(modified_at.map(|modified_at| modified_at - written_at))
    };
    let read = read.await;
    let deleted = store.delete(PLATFORM_BUCKET, &key).await;
    // If both the read and the deletion fail, the error of the read is reported.
    let modified = read?;
    deleted?;
    Ok(modified)
}

fn explain(endpoint: &str, error: &StoreError) -> String {
    let remedy = match error {
        StoreError::Unavailable { .. } => "start it, or correct ATLASHUB_S3_ENDPOINT",
        StoreError::Full { .. } => "add space to it, or remove files",
        StoreError::Refused { status: 401 | 403, .. } => {
            "correct ATLASHUB_S3_ACCESS_KEY_ID, ATLASHUB_S3_SECRET_ACCESS_KEY or ATLASHUB_S3_REGION, and allow the \
             key to create buckets"
        }
        _ => "see the store's log",
    };
    format!("{endpoint}: {error}: {remedy}.")
}
