//! The parameters of the job `cleanup`.

use atlashub_plugin_sdk::{maintenance::Sweep, prelude::*};

/// The sweeps that run, and the minimum age of the data that they remove. Null or false disables a sweep.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Policy {
    /// Remove signed uploads that were never used, and parts of abandoned multipart uploads.
    expired_uploads: bool,
    /// Remove objects larger than their signed URL allowed.
    oversize_uploads: bool,
    /// Remove metadata of objects that no longer exist.
    orphan_metadata: bool,
    /// Remove runs that ended more than this many days ago, with their logs. The newest run of each job is kept, and
    /// the newest that was not skipped. `ATLASHUB_RUN_RETENTION_DAYS` also applies, even if this is null.
    #[schemars(range(min = 1))]
    old_runs_days: Option<u32>,
    /// Remove log objects whose run no longer exists.
    orphan_logs: bool,
    /// Remove expired sessions, tokens and second-factor challenges of end users.
    expired_sessions: bool,
    /// Remove API keys that expired or were revoked at least this many days ago.
    #[schemars(range(min = 1))]
    expired_keys_days: Option<u32>,
    /// Remove databases that are kept for a rollback, if their restore ended at least this many days ago. If null,
    /// they are kept until the owner removes them.
    #[schemars(range(min = 1))]
    superseded_restores_days: Option<u32>,
    /// Remove audit log entries older than this many days.
    #[schemars(range(min = 30))]
    old_audit_entries_days: Option<u32>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            expired_uploads: true,
            oversize_uploads: true,
            orphan_metadata: true,
            old_runs_days: None,
            orphan_logs: true,
            expired_sessions: true,
            expired_keys_days: Some(90),
            superseded_restores_days: None,
            old_audit_entries_days: Some(365),
        }
    }
}

/// A sweep with the name of its parameter.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) sweep: Sweep,
}

impl Policy {
    /// Returns the enabled sweeps in the order in which they run. Old runs are removed before logs without a run, which
    /// removing runs can leave behind.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let if_enabled = |enabled: bool, sweep| enabled.then_some(sweep);
        [
            ("expiredUploads", if_enabled(self.expired_uploads, Sweep::ExpiredUploads)),
            ("oversizeUploads", if_enabled(self.oversize_uploads, Sweep::OversizeUploads)),
            ("orphanMetadata", if_enabled(self.orphan_metadata, Sweep::OrphanMetadata)),
            ("oldRunsDays", self.old_runs_days.map(Sweep::OldRuns)),
            ("orphanLogs", if_enabled(self.orphan_logs, Sweep::OrphanLogs)),
            ("expiredSessions", if_enabled(self.expired_sessions, Sweep::ExpiredSessions)),
            ("expiredKeysDays", self.expired_keys_days.map(Sweep::ExpiredKeys)),
            ("supersededRestoresDays", self.superseded_restores_days.map(Sweep::SupersededRestores)),
            ("oldAuditEntriesDays", self.old_audit_entries_days.map(Sweep::OldAuditEntries)),
        ]
        .into_iter()
        .filter_map(|(name, sweep)| sweep.map(|sweep| Step { name, sweep }))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(policy: &str) -> Vec<&'static str> {
        let policy: Policy = serde_json::from_str(policy).unwrap();
        policy.steps().into_iter().map(|step| step.name).collect()
    }

    #[test]
    fn default_policy_leaves_out_old_runs_and_kept_databases() {
        assert_eq!(names("{}").len(), 7);
        assert_eq!(names(r#"{"oldRunsDays": 7}"#)[3..5], ["oldRunsDays", "orphanLogs"]);
    }

    #[test]
    fn null_and_false_disable_a_sweep() {
        let enabled = names(r#"{"oldAuditEntriesDays": null, "expiredUploads": false, "oldRunsDays": 7}"#);
        assert_eq!(enabled.len(), 6);
        assert!(!names("{}").contains(&"oldRunsDays"));
        assert!(!enabled.contains(&"oldAuditEntriesDays") && !enabled.contains(&"expiredUploads"));
    }

    #[test]
    fn unknown_parameter_is_rejected() {
        assert!(serde_json::from_str::<Policy>(r#"{"oldRunDays": 7}"#).is_err());
    }
}
