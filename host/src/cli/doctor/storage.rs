//! The object store: reachable, writable, and with a clock like ours (signatures carry the time).

use bytes::Bytes;
use chrono::{TimeDelta, Utc};

use super::report::Report;
use crate::{
    config::ExternalStorageConfig,
    object_store::{ObjectStore, PLATFORM_BUCKET, StoreError, StoreResult},
};

/// S3 refuses signatures that are 15 minutes off.
const CLOCK_MAX_SKEW: TimeDelta = TimeDelta::minutes(5);

pub(super) async fn check(config: &ExternalStorageConfig, report: &mut Report) {
    let store = ObjectStore::new(config);
    let skew = match probe(&store).await {
        Ok(skew) => skew,
        Err(error) => return report.problem("storage", explain(&config.endpoint, &error)),
    };
    report.ok("storage", format!("{} takes, gives and removes an object", config.endpoint));
    match skew {
        Some(skew) if skew.abs() > CLOCK_MAX_SKEW => report.problem(
            "clock",
            format!(
                "the store's clock is {} s {} this machine's, so signed URLs fail or live too long: set both by NTP.",
                skew.abs().num_seconds(),
                if skew > TimeDelta::zero() { "ahead of" } else { "behind" }
            ),
        ),
        Some(_) => report.ok("clock", "agrees with the store's"),
        None => report.note("clock", "the store does not tell the time"),
    }
}

/// How far the store's clock is ahead of ours, by what it says of an object that was written just now.
async fn probe(store: &ObjectStore) -> StoreResult<Option<TimeDelta>> {
    const CONTENT: &[u8] = b"written by `atlashub doctor`, which removes it again\n";
    let key = format!("doctor/{}", uuid::Uuid::now_v7());
    store.ensure_bucket(PLATFORM_BUCKET).await?;
    store.put_small(PLATFORM_BUCKET, &key, "text/plain", Bytes::from_static(CONTENT)).await?;
    let ours = Utc::now();
    let read = async {
        let theirs = store.head(PLATFORM_BUCKET, &key).await?.and_then(|meta| meta.last_modified);
        let content = store.get_small(PLATFORM_BUCKET, &key, CONTENT.len()).await?;
        if content != CONTENT {
            return Err(StoreError::Other {
                operation: "GetObject",
                cause: anyhow::anyhow!("another content came back than was written"),
            });
        }
        Ok(theirs.map(|theirs| theirs - ours))
    };
    let read = read.await;
    store.delete(PLATFORM_BUCKET, &key).await?;
    read
}

fn explain(endpoint: &str, error: &StoreError) -> String {
    let remedy = match error {
        StoreError::Unavailable { .. } => "start it, or correct ATLASHUB_S3_ENDPOINT",
        StoreError::Refused { status: 401 | 403, .. } => {
            "correct ATLASHUB_S3_ACCESS_KEY_ID, ATLASHUB_S3_SECRET_ACCESS_KEY or ATLASHUB_S3_REGION, and let the key make buckets"
        }
        _ => "look into the store's log",
    };
    format!("{endpoint}: {error}: {remedy}.")
}
