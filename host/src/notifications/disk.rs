//! Watches the free space of the disk, and notifies the owner when it is low.

use std::{path::PathBuf, time::Duration};

use api_types::NotificationEvent;
use sqlx::PgPool;

use super::{NotificationState, notification::Notification, notifier::Notifier, queries};
use crate::disk::{DiskSpace, space_of};

const CHECK_INTERVAL: Duration = Duration::from_secs(300);
/// Percentage points above the threshold at which the disk counts as recovered. Prevents repeated notifications at the
/// threshold.
const RECOVERY_MARGIN: f64 = 2.0;

/// Notifies the owner when the disk of the data folder is nearly full. Notifies again only after the disk has recovered
/// in the meantime, even across restarts.
pub struct DiskWatch {
    folder: PathBuf,
    threshold_percent: u8,
    platform: PgPool,
    notifier: Notifier,
}

impl DiskWatch {
    pub fn new(state: &NotificationState, folder: PathBuf, threshold_percent: u8) -> Self {
        Self { folder, threshold_percent, platform: state.platform.clone(), notifier: state.notifier.clone() }
    }

    /// Checks the free space every five minutes.
    pub(super) async fn watch(self) {
        let mut ticks = tokio::time::interval(CHECK_INTERVAL);
        loop {
            ticks.tick().await;
            if let Err(error) = self.check_now().await {
                let folder = self.folder.display();
                tracing::warn!(error = format!("{error:#}"), %folder, "failed to check the free disk space");
            }
        }
    }

    /// Checks the free space once.
    ///
    /// # Errors
    /// Fails if the free space can't be read, or if Postgres can't be reached.
    pub async fn check_now(&self) -> anyhow::Result<()> {
        let folder = self.folder.clone();
        let space = tokio::task::spawn_blocking(move || space_of(&folder)).await??;
        // The condition names the disk, not the folder: nodes can share a disk, and folders on different nodes can have
        // the same path.
        let condition = format!("diskLow:{:x}", space.id);
        let is_known = queries::condition_exists(&self.platform, &condition).await?;
        match detect_change(space.free_percent(), f64::from(self.threshold_percent), is_known) {
            Change::None => {}
            Change::BecameLow => {
                // In this order, a crash in between causes a second notification instead of none.
                queries::enqueue(&self.platform, &self.notification(&space)).await?;
                queries::insert_condition(&self.platform, &condition).await?;
                self.notifier.wake_delivery();
                tracing::warn!(free_bytes = space.free, total_bytes = space.total, "the disk is nearly full");
            }
            Change::Recovered => {
                queries::delete_condition(&self.platform, &condition).await?;
                tracing::info!(
                    free_bytes = space.free,
                    total_bytes = space.total,
                    "the disk has enough free space again"
                );
            }
        }
        Ok(())
    }

    fn notification(&self, space: &DiskSpace) -> Notification {
        let text = "Free some space or enlarge the disk. When the disk is full, databases and uploads stop working.";
        Notification::new(NotificationEvent::DiskLow, "The disk is nearly full", text)
            .with_field("free", format!("{} of {} ({:.1} %)", gib(space.free), gib(space.total), space.free_percent()))
            .with_field("folder", self.folder.display().to_string())
            .normalized()
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Change {
    None,
    BecameLow,
    Recovered,
}

fn detect_change(free_percent: f64, threshold_percent: f64, is_known: bool) -> Change {
    if !is_known && free_percent < threshold_percent {
        Change::BecameLow
    } else if is_known && free_percent >= (threshold_percent + RECOVERY_MARGIN).min(100.0) {
        Change::Recovered
    } else {
        Change::None
    }
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_disk_is_reported_once_until_it_recovers() {
        let check =
            |free: f64, known: bool, expected: Change| assert_eq!(detect_change(free, 10.0, known), expected, "{free}");
        check(50.0, false, Change::None);
        check(9.9, false, Change::BecameLow);
        check(9.9, true, Change::None);
        check(10.5, true, Change::None);
        check(12.0, true, Change::Recovered);
        check(10.5, false, Change::None);
    }
}
