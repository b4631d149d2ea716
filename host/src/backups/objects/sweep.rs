//! Removes the copies that no backup refers to.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    ObjectCopies, ObjectsError,
    check::NameReader,
    keys::{COPIES_PREFIX, LIST_EXTENSION, NAMES_EXTENSION, backups_prefix, copies_prefix},
    lock::CopiesLock,
    names::{CopyName, NAME_BYTES, parse_name},
};
use crate::{
    error::describe_cause,
    object_store::{PLATFORM_BUCKET, StoreError},
};

const PAGE_SIZE: i32 = 1000;
/// Minimum age of a removed copy. Younger copies may be those of a failed backup, whose retry reuses them.
const MIN_AGE: TimeDelta = TimeDelta::days(1);
/// Maximum number of names that are held in memory at the same time: about 48 MiB.
const MAX_NAMES: u64 = 1_000_000;

/// Number and total size of the removed copies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopySweepReport {
    pub removed: u64,
    pub freed_bytes: u64,
}

impl ObjectCopies {
    /// Removes the copies of all projects that no backup refers to and that are older than a day. Skips projects that
    /// are being backed up, and projects for which a file with names of copies is missing. Logs the failures of single
    /// projects. The next sweep tries again.
    ///
    /// # Errors
    /// Fails if the projects with copies can't be listed.
    pub async fn sweep(&self) -> Result<CopySweepReport, ObjectsError> {
        let before = Utc::now() - MIN_AGE;
        let mut report = CopySweepReport::default();
        for project in self.projects_with_copies().await? {
            match self.sweep_project(&project, before).await {
                Ok(swept) => {
                    report.removed += swept.removed;
                    report.freed_bytes += swept.freed_bytes;
                }
                Err(error) => {
                    let cause = describe_cause(&error);
                    tracing::warn!(project, cause, "copies of objects could not be swept");
                }
            }
        }
        Ok(report)
    }

    /// Removes the copies of one project that no backup refers to and that were made before `before`. Also aborts
    /// unfinished uploads of copies that began before then. Does nothing while the project is being backed up, or if a
    /// file with names of copies is missing.
    ///
    /// # Errors
    /// Fails if a file with names was cut short or removed in the meantime, or if the store or the platform database is
    /// unavailable.
    pub async fn sweep_project(&self, project: &str, before: DateTime<Utc>) -> Result<CopySweepReport, ObjectsError> {
        let mut report = CopySweepReport::default();
        let Some(mut lock) = CopiesLock::take(&self.platform, project).await? else { return Ok(report) };
        let Some(files) = self.name_files(project).await? else { return Ok(report) };
        let bytes: u64 = files.iter().map(|(_, size)| size).sum();
        for prefix in shards(bytes / NAME_BYTES as u64) {
            let live = self.read_names(&files, &prefix).await?;
            let copies_prefix = copies_prefix(project);
            let listed_prefix = format!("{copies_prefix}{prefix}");
            let mut token: Option<String> = None;
            loop {
                let page = self.store.list_page(PLATFORM_BUCKET, &listed_prefix, PAGE_SIZE, token.as_deref()).await?;
                let mut unused = Vec::new();
                for object in page.objects {
                    let name = object.key.strip_prefix(&copies_prefix).and_then(parse_name);
                    let is_old = object.last_modified.is_some_and(|at| at < before);
                    if is_old && name.is_some_and(|name| !live.contains(&name)) {
                        report.removed += 1;
                        report.freed_bytes += object.size.unsigned_abs();
                        unused.push(object.key);
                    }
                }
                if !unused.is_empty() {
                    lock.check().await?;
                    self.store.delete_batch(PLATFORM_BUCKET, &unused).await?;
                }
                token = page.next;
                if token.is_none() {
                    break;
                }
            }
        }
        self.abort_uploads(project, before).await?;
        lock.release().await;
        if report.removed > 0 {
            let CopySweepReport { removed, freed_bytes } = report;
            tracing::info!(project, removed, freed_bytes, "removed copies of objects that no backup refers to");
        }
        Ok(report)
    }

    /// Returns the keys and the sizes in bytes of the project's files with names of copies. Returns `None` if one is
    /// missing: then it is unknown which copies are in use.
    async fn name_files(&self, project: &str) -> Result<Option<Vec<(String, u64)>>, ObjectsError> {
        let (mut files, mut lists) = (Vec::new(), Vec::new());
        let mut token: Option<String> = None;
        loop {
            let prefix = backups_prefix(project);
            let page = self.store.list_page(PLATFORM_BUCKET, &prefix, PAGE_SIZE, token.as_deref()).await?;
            for object in page.objects {
                if object.key.ends_with(NAMES_EXTENSION) {
                    files.push((object.key, object.size.unsigned_abs()));
                } else if let Some(stem) = object.key.strip_suffix(LIST_EXTENSION) {
                    lists.push(format!("{stem}{NAMES_EXTENSION}"));
                }
            }
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        let found: HashSet<&str> = files.iter().map(|(key, _)| key.as_str()).collect();
        if let Some(key) = lists.iter().find(|key| !found.contains(key.as_str())) {
            tracing::warn!(project, key, "the names of a backup's copies are missing, so no copies are swept");
            return Ok(None);
        }
        Ok(Some(files))
    }

    /// Reads the names whose hexadecimal form starts with `prefix`, of at most two digits.
    async fn read_names(&self, files: &[(String, u64)], prefix: &str) -> Result<HashSet<CopyName>, ObjectsError> {
        let mut live = HashSet::new();
        for (key, _) in files {
            let missing = || ObjectsError::Failed(format!("{key} was removed during the sweep"));
            let (_, bytes) = self.store.get(PLATFORM_BUCKET, key).await?.ok_or_else(missing)?;
            let mut names = NameReader::new(bytes);
            loop {
                let batch = names.next().await?;
                if batch.is_empty() {
                    break;
                }
                live.extend(batch.into_iter().filter(|name| hex::encode(&name[..1]).starts_with(prefix)));
            }
        }
        Ok(live)
    }

    /// Aborts uploads of copies that a killed process left behind. The caller holds the lock, so no backup is in
    /// progress.
    async fn abort_uploads(&self, project: &str, before: DateTime<Utc>) -> Result<(), ObjectsError> {
        let prefix = copies_prefix(project);
        let mut position = None;
        loop {
            let page = match self.store.list_uploads(PLATFORM_BUCKET, position).await {
                Err(StoreError::NotSupported { .. } | StoreError::NotFound { .. }) => return Ok(()),
                page => page?,
            };
            for upload in page.uploads {
                if upload.key.starts_with(&prefix) && upload.created_at.is_some_and(|at| at < before) {
                    self.store.abort_multipart(PLATFORM_BUCKET, &upload.key, &upload.upload_id).await?;
                }
            }
            position = page.next;
            if position.is_none() {
                return Ok(());
            }
        }
    }

    /// Returns the ids of the projects that have copies, including deleted projects.
    async fn projects_with_copies(&self) -> Result<Vec<String>, ObjectsError> {
        let (mut projects, mut token) = (Vec::new(), None::<String>);
        loop {
            let listed =
                self.store.list_grouped(PLATFORM_BUCKET, COPIES_PREFIX, Some("/"), PAGE_SIZE, token.as_deref());
            let page = match listed.await {
                Err(error) if error.is_not_found() => return Ok(projects),
                page => page?,
            };
            let of_prefix = |prefix: &String| Some(prefix.strip_prefix(COPIES_PREFIX)?.strip_suffix('/')?.to_owned());
            projects.extend(page.prefixes.iter().filter_map(of_prefix));
            token = page.next;
            if token.is_none() {
                return Ok(projects);
            }
        }
    }
}

/// Divides names into parts that fit into memory. Returns the beginning of the hexadecimal form of the names in each
/// part.
fn shards(names: u64) -> Vec<String> {
    if names <= MAX_NAMES {
        return vec![String::new()];
    }
    if names / 16 <= MAX_NAMES {
        return (0..16).map(|digit| format!("{digit:x}")).collect();
    }
    (0..256).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_every_name_once() {
        for names in [0, MAX_NAMES, MAX_NAMES + 1, 100 * MAX_NAMES] {
            let shards = shards(names);
            for byte in 0..=u8::MAX {
                let text = hex::encode([byte]);
                assert_eq!(shards.iter().filter(|prefix| text.starts_with(prefix.as_str())).count(), 1, "{names}");
            }
        }
    }
}
