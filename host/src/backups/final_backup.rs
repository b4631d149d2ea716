//! Deleting a project after a last backup of it.
//!
//! The project's row names the run that it waits for, so that whoever looks next finishes: the node that saw the run end, or
//! any node's sweep. Both may look at once; the project's lock lets one of them delete it.

use serde_json::json;
use uuid::Uuid;

use super::{BackupsState, queries};
use crate::{
    db::audit::{NewAuditEntry, record_or_log},
    error::ApiResult,
    projects::{self, ProjectsState},
};

/// What becomes of a project that waits.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Wait,
    Delete,
    /// Why it stays.
    Keep(String),
}

impl BackupsState {
    /// Begins the last backup of a project; answers its run.
    pub async fn begin_final(&self, project: &str) -> ApiResult<Uuid> {
        self.begin(&format!("project:{project}")).await
    }

    /// Deletes the projects whose last backup is there, and says of those whose backup failed that they stay.
    pub async fn settle_deletions(&self, projects: &ProjectsState) -> anyhow::Result<()> {
        let waiting = queries::waiting_deletions(&self.platform).await?;
        if waiting.iter().any(|project| project.status.as_deref() == Some("success")) {
            // What is gone from storage is no backup. Where storage can't be asked, nothing is deleted.
            self.catalogue.compare_with_storage().await?;
        }
        for project in queries::waiting_deletions(&self.platform).await? {
            let (id, run) = (&project.id, project.run);
            let mut entry = NewAuditEntry::new("system", "project.delete");
            entry.project_id = Some(id.clone());
            entry.target = Some(id.clone());
            match verdict(&project) {
                Verdict::Wait => {}
                Verdict::Delete => {
                    if projects::delete_after_run(projects, id, run).await? {
                        entry.details = json!({ "name": project.name, "finalBackup": run });
                        record_or_log(&self.platform, &entry).await;
                    }
                }
                Verdict::Keep(problem) => {
                    if projects::keep_after_run(projects, id, run, &problem).await? {
                        tracing::warn!(project = id, %run, problem, "a project was not deleted");
                        entry.result = api_types::AuditResult::Failed;
                        entry.details = json!({ "name": project.name, "finalBackup": run, "problem": problem });
                        record_or_log(&self.platform, &entry).await;
                    }
                }
            }
        }
        Ok(())
    }

    /// The same for one of whose runs one ended just now, where that may be a last backup.
    pub async fn settle_deletion_of(&self, projects: &ProjectsState, run: Uuid) {
        match queries::is_waited_for(&self.platform, run).await {
            Ok(false) => {}
            Ok(true) => {
                if let Err(error) = self.settle_deletions(projects).await {
                    tracing::warn!(error = format!("{error:#}"), "a project could not be deleted; a sweep tries again");
                }
            }
            Err(error) => tracing::warn!(%error, "deletions that wait for a backup could not be looked for"),
        }
    }
}

fn verdict(project: &queries::WaitingDeletion) -> Verdict {
    let because = |ending: &str| {
        let why = project.error_text.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        Verdict::Keep(format!("The final backup {ending}{why} (run {})", project.run))
    };
    match project.status.as_deref() {
        Some("queued" | "running") => Verdict::Wait,
        Some("success") | None if project.backed_up => Verdict::Delete,
        Some("success") | None => because("is not in storage"),
        Some("cancelled") => because("was cancelled"),
        Some("timeout") => because("ran out of time"),
        Some(_) => because("failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_backup_that_is_there_lets_a_project_go() {
        let check = |status: Option<&str>, backed_up, deleted: Option<bool>| {
            let project = queries::WaitingDeletion {
                id: "abcdefgh".to_owned(),
                name: "Shop".to_owned(),
                run: Uuid::nil(),
                status: status.map(str::to_owned),
                error_text: None,
                backed_up,
            };
            let found = match verdict(&project) {
                Verdict::Wait => None,
                Verdict::Delete => Some(true),
                Verdict::Keep(_) => Some(false),
            };
            assert_eq!(found, deleted, "{status:?} {backed_up}");
        };
        check(Some("running"), true, None);
        check(Some("queued"), false, None);
        check(Some("success"), true, Some(true));
        check(Some("success"), false, Some(false));
        check(Some("fail"), true, Some(false));
        check(Some("cancelled"), false, Some(false));
        check(None, true, Some(true));
        check(None, false, Some(false));
    }
}
