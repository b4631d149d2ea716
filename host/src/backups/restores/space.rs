//! Warns in a plan if the disk of the embedded Postgres is too small for the restored database and objects.

use std::{path::PathBuf, time::Duration};

use api_types::RestoreObjects;

use super::Restores;
use crate::{
    db::{DatabaseName, project_database},
    disk::{self, DiskSpace},
    error::describe_cause,
};

/// Timeout for a file system that does not respond.
const TIMEOUT: Duration = Duration::from_secs(3);
const GIB: f64 = (1_u64 << 30) as f64;

impl Restores {
    /// Sets the folder of the embedded Postgres and store. It is `None` if they are external, because the disks of
    /// external services are not visible.
    #[must_use]
    pub fn with_data_folder(self, folder: Option<PathBuf>) -> Self {
        Self { data_folder: folder, ..self }
    }

    /// Returns a warning if the disk has less free space than a restore needs.
    ///
    /// An archive does not contain the size of its database. This function assumes the size of the archive or the
    /// present size of the dumped database, whichever is larger.
    pub(super) async fn warning_of_space(
        &self,
        archive_bytes: i64,
        source: Option<&str>,
        objects: Option<RestoreObjects>,
    ) -> Option<String> {
        let folder = self.data_folder.clone()?;
        let measured = tokio::task::spawn_blocking(move || disk::space_of(&folder));
        let space = match tokio::time::timeout(TIMEOUT, measured).await {
            Ok(Ok(Ok(space))) => space,
            Ok(Ok(Err(error))) => {
                tracing::warn!(cause = describe_cause(error.as_ref()), "the free disk space could not be read");
                return None;
            }
            Ok(Err(_)) | Err(_) => return None,
        };
        let database = self.size_of(source).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the size of a project's database could not be read");
            0
        });
        let needed = archive_bytes.max(database).saturating_add(objects.map_or(0, |objects| objects.size_bytes));
        warning(space, needed.unsigned_abs())
    }

    /// Returns the size of the database of the project `source`. Returns 0 if there is no such database.
    async fn size_of(&self, source: Option<&str>) -> Result<i64, sqlx::Error> {
        let Some(Ok(DatabaseName::Project(project))) = source.map(str::parse) else { return Ok(0) };
        sqlx::query_scalar("SELECT coalesce(max(pg_database_size(oid)), 0) FROM pg_database WHERE datname = $1")
            .bind(project_database(&project))
            .fetch_one(&self.platform)
            .await
    }
}

fn warning(space: DiskSpace, needed: u64) -> Option<String> {
    (space.free < needed).then(|| {
        format!(
            "The disk of the data folder has {:.1} GiB of free space, but the restore needs about {:.1} GiB. Free some \
             space first, or the restore fails when the disk is full.",
            space.free as f64 / GIB,
            needed as f64 / GIB,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restore_that_does_not_fit_has_a_warning() {
        let space = DiskSpace { id: 1, free: 3 << 30, total: 100 << 30 };
        assert_eq!(warning(space, 3 << 30), None);
        let text = warning(space, (4 << 30) + (1 << 29)).unwrap();
        assert!(text.contains("has 3.0 GiB") && text.contains("about 4.5 GiB"), "{text}");
    }
}
