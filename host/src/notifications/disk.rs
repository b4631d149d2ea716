use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use api_types::NotificationEvent;
use sqlx::PgPool;

use super::{NotificationState, notification::Notification, notifier::Notifier, queries};

const PAUSE: Duration = Duration::from_secs(300);
/// Percent points above the threshold at which a disk is well again, so that one at the edge isn't told of all day.
const MARGIN: f64 = 2.0;

/// Tells the owner once that the disk of the data folder is nearly full, and again only after it had room meanwhile,
/// over restarts too.
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

    /// Looks every five minutes.
    pub(super) async fn watch(self) {
        let mut ticks = tokio::time::interval(PAUSE);
        loop {
            ticks.tick().await;
            if let Err(error) = self.check_now().await {
                tracing::warn!(error = format!("{error:#}"), folder = %self.folder.display(), "the disk can't be watched");
            }
        }
    }

    /// Looks once.
    pub async fn check_now(&self) -> anyhow::Result<()> {
        let folder = self.folder.clone();
        let space = tokio::task::spawn_blocking(move || space_of(&folder)).await??;
        // Of the disk, not of the folder: two nodes may share it, and two may have folders of the same name.
        let condition = format!("diskLow:{:x}", space.id);
        let known = queries::condition_is_known(&self.platform, &condition).await?;
        match change(space.free_percent(), f64::from(self.threshold_percent), known) {
            Change::None => {}
            Change::NowLow => {
                // Written down first: a crash in between says it twice rather than never.
                queries::enqueue(&self.platform, &self.notification(&space)).await?;
                queries::remember_condition(&self.platform, &condition).await?;
                self.notifier.wake();
                tracing::warn!(free_bytes = space.free, total_bytes = space.total, "the disk is nearly full");
            }
            Change::WellAgain => {
                queries::forget_condition(&self.platform, &condition).await?;
                tracing::info!(free_bytes = space.free, total_bytes = space.total, "the disk has room again");
            }
        }
        Ok(())
    }

    fn notification(&self, space: &Space) -> Notification {
        let text = "Remove what isn't needed, or give the disk more room. When it is full, databases and uploads stop.";
        Notification::new(NotificationEvent::DiskLow, "The disk is nearly full", text)
            .with_field("free", format!("{} of {} ({:.1} %)", gib(space.free), gib(space.total), space.free_percent()))
            .with_field("folder", self.folder.display().to_string())
            .within_limits()
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Change {
    None,
    NowLow,
    WellAgain,
}

fn change(free_percent: f64, threshold_percent: f64, known: bool) -> Change {
    if !known && free_percent < threshold_percent {
        Change::NowLow
    } else if known && free_percent >= (threshold_percent + MARGIN).min(100.0) {
        Change::WellAgain
    } else {
        Change::None
    }
}

/// A file system, in bytes.
struct Space {
    id: u64,
    free: u64,
    total: u64,
}

impl Space {
    fn free_percent(&self) -> f64 {
        if self.total == 0 { 100.0 } else { self.free as f64 / self.total as f64 * 100.0 }
    }
}

/// Of the folder, or where it isn't there yet of the one that it will be in.
fn space_of(folder: &Path) -> anyhow::Result<Space> {
    let absolute = std::path::absolute(folder)?;
    let there = absolute.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let stat = nix::sys::statvfs::statvfs(there)?;
    let unit = stat.fragment_size();
    Ok(Space { id: stat.filesystem_id(), free: stat.blocks_available() * unit, total: stat.blocks() * unit })
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_told_of_once_until_it_has_room() {
        let check =
            |free: f64, known: bool, expected: Change| assert_eq!(change(free, 10.0, known), expected, "{free}");
        check(50.0, false, Change::None);
        check(9.9, false, Change::NowLow);
        check(9.9, true, Change::None);
        check(10.5, true, Change::None);
        check(12.0, true, Change::WellAgain);
        check(10.5, false, Change::None);
    }

    #[test]
    fn a_folder_that_is_not_there_yet_has_a_disk() {
        let folder = tempfile::tempdir().unwrap();
        let space = space_of(&folder.path().join("not/yet")).unwrap();
        assert_eq!(space.id, space_of(folder.path()).unwrap().id);
        assert!(space.total > 0 && space.free <= space.total);
    }
}
