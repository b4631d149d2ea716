//! Deletes projects after their final backup.
//!
//! The project's row stores the id of the backup's run. When the run has ended, the node that saw the end deletes the
//! project, or keeps it if the backup failed. If that node crashes, the sweep of any node does so. Both may try at the
//! same time. The project's lock lets only one proceed.

use std::collections::HashSet;

use api_types::{AuditResult, RunStatus};
use serde_json::json;
use uuid::Uuid;

use super::{BackupContent, BackupsState, queries};
use crate::{
    db::audit::NewAuditEntry,
    error::{ApiResult, describe_cause},
    projects::{self, ProjectsState},
};

/// Decision about a project whose deletion waits for its final backup.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Wait,
    Delete,
    /// Keep the project, for this reason.
    Keep(String),
}

impl BackupsState {
    /// Starts the final backup of a project, with its objects, because its bucket is deleted too. Returns the id of its
    /// run.
    ///
    /// # Errors
    /// Returns the errors of [`Self::start_backup`].
    pub async fn start_final_backup(&self, project: &str) -> ApiResult<Uuid> {
        let (run, _) = self.start_backup(&format!("project:{project}"), BackupContent::WithObjects).await?;
        Ok(run)
    }

    /// Deletes the projects whose final backup exists. Keeps those whose final backup failed or is missing, and records
    /// the reason. Projects whose run has not ended wait.
    ///
    /// # Errors
    /// Fails if the platform database, the object store or Postgres is unavailable. The call can then be repeated.
    pub async fn finish_deletions(&self, projects: &ProjectsState) -> anyhow::Result<()> {
        let mut waiting = queries::waiting_deletions(&self.platform).await?;
        waiting.retain(|project| !matches!(project.status, Some(RunStatus::Queued | RunStatus::Running)));
        if waiting.iter().any(needs_backup) {
            // A backup whose dump is gone doesn't count. If the object store is unavailable, no project is deleted.
            self.catalogue.sync_with_storage().await?;
        }
        let ended: HashSet<Uuid> = waiting.into_iter().map(|project| project.run).collect();
        // Skip runs that ended during the synchronization, because it may have missed their dumps. The node that sees
        // the end of such a run, or the next sweep, continues the deletion.
        for project in queries::waiting_deletions(&self.platform).await? {
            if !ended.contains(&project.run) {
                continue;
            }
            let (id, run) = (&project.id, project.run);
            let mut entry = NewAuditEntry::new("system", "project.delete");
            entry.project_id = Some(id.clone());
            entry.target = Some(id.clone());
            match decide(&project) {
                Decision::Wait => {}
                Decision::Delete => {
                    entry.details = json!({ "name": project.name, "finalBackup": run });
                    projects::delete_after_run(projects, id, run, &entry).await?;
                }
                Decision::Keep(problem) => {
                    entry.result = AuditResult::Failed;
                    entry.details = json!({ "name": project.name, "finalBackup": run, "problem": problem });
                    if projects::keep_after_run(projects, id, run, &problem, &entry).await? {
                        tracing::warn!(project = id, %run, problem, "a project was not deleted, because its final \
                            backup failed");
                    }
                }
            }
        }
        Ok(())
    }

    /// Finishes deletions if the run that has just ended was a final backup. Failures are logged.
    pub async fn finish_deletion_after_run(&self, projects: &ProjectsState, run: Uuid) {
        match queries::is_final_backup(&self.platform, run).await {
            Ok(false) => {}
            Ok(true) => {
                if let Err(error) = self.finish_deletions(projects).await {
                    let cause = describe_cause(error.as_ref());
                    tracing::warn!(cause, "a project could not be deleted; the next sweep retries");
                }
            }
            Err(error) => tracing::warn!(
                %error, %run, "could not check whether a run was a final backup; if so, the next sweep continues the \
                    deletion"
            ),
        }
    }
}

/// Returns whether a project is deleted if its backup is in the catalogue.
fn needs_backup(project: &queries::WaitingDeletion) -> bool {
    matches!(project.status, Some(RunStatus::Success) | None)
}

fn decide(project: &queries::WaitingDeletion) -> Decision {
    let keep = |ending: &str| {
        let cause = project.error_text.as_deref().map(|cause| format!(": {cause}")).unwrap_or_default();
        Decision::Keep(format!("The final backup {ending}{cause} (run {})", project.run))
    };
    match project.status {
        Some(RunStatus::Queued | RunStatus::Running) => Decision::Wait,
        // A run without a status was removed from the history.
        Some(RunStatus::Success) | None if project.backed_up => Decision::Delete,
        Some(RunStatus::Success) | None => keep("is missing in the object store, or its verification failed"),
        Some(RunStatus::Cancelled) => keep("was cancelled"),
        Some(RunStatus::Timeout) => keep("exceeded its time limit"),
        Some(RunStatus::Fail | RunStatus::Skipped) => keep("failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_is_deleted_only_if_its_backup_exists() {
        let check = |status: Option<RunStatus>, backed_up, deleted: Option<bool>| {
            let project = queries::WaitingDeletion {
                id: "abcdefgh".to_owned(),
                name: "Shop".to_owned(),
                run: Uuid::nil(),
                status,
                error_text: None,
                backed_up,
            };
            let decision = match decide(&project) {
                Decision::Wait => None,
                Decision::Delete => Some(true),
                Decision::Keep(_) => Some(false),
            };
            assert_eq!(decision, deleted, "{status:?} {backed_up}");
        };
        check(Some(RunStatus::Running), true, None);
        check(Some(RunStatus::Queued), false, None);
        check(Some(RunStatus::Success), true, Some(true));
        check(Some(RunStatus::Success), false, Some(false));
        check(Some(RunStatus::Fail), true, Some(false));
        check(Some(RunStatus::Cancelled), false, Some(false));
        check(None, true, Some(true));
        check(None, false, Some(false));
    }
}
