//! What others say: a schedule changed, there is work, a run is to be cancelled. Whatever is lost is found later by
//! those who sleep no longer than half a minute.

use std::{sync::Arc, time::Duration};

use sqlx::postgres::PgListener;
use uuid::Uuid;

use super::{Shared, live::StopReason};
use crate::jobs::queries::CHANNEL;

const AFTER_ERROR: Duration = Duration::from_secs(1);

pub(super) async fn listen(shared: Arc<Shared>) {
    loop {
        if let Err(error) = listen_once(&shared).await {
            tracing::debug!(%error, "listening for news of jobs was interrupted");
        }
        tokio::time::sleep(AFTER_ERROR).await;
    }
}

/// Until the connection is lost.
async fn listen_once(shared: &Shared) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(&shared.jobs.platform).await?;
    listener.listen(CHANNEL).await?;
    loop {
        // What was said while nobody listened.
        shared.plan.notify_one();
        shared.claim.notify_one();
        shared.renew.notify_one();
        while let Some(notification) = listener.try_recv().await? {
            hear(shared, notification.payload());
        }
    }
}

fn hear(shared: &Shared, payload: &str) {
    match payload {
        "jobs" => shared.plan.notify_one(),
        "queued" => shared.claim.notify_one(),
        other => {
            let run = other.strip_prefix("cancel:").and_then(|id| id.parse::<Uuid>().ok());
            if let Some(run) = run.and_then(|id| shared.live.get(&id)) {
                run.stop(StopReason::Cancelled);
            }
        }
    }
}
