use atlashub_plugin_sdk::{maintenance::Sweep, prelude::*};

/// Which sweeps run, and how old things must be. Null or false leaves a sweep out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Policy {
    /// Signed uploads that were never used, and parts of abandoned ones.
    expired_uploads: bool,
    /// Objects larger than their URL allowed.
    oversize_uploads: bool,
    /// Metadata without an object.
    orphan_metadata: bool,
    /// Runs that ended so many days ago, with their logs; the newest of each job stays. Without it the platform keeps
    /// them for as long as it is configured to.
    #[schemars(range(min = 1))]
    old_runs_days: Option<u32>,
    /// Log objects whose run is gone.
    orphan_logs: bool,
    /// Ended sessions of end users, and their refresh tokens.
    expired_sessions: bool,
    /// API keys that expired or were revoked so many days ago.
    #[schemars(range(min = 1))]
    expired_keys_days: Option<u32>,
    /// Databases kept after a restore, older than so many days.
    #[schemars(range(min = 1))]
    superseded_restores_days: Option<u32>,
    /// Entries of the audit log older than so many days.
    #[schemars(range(min = 1))]
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
            superseded_restores_days: Some(14),
            old_audit_entries_days: Some(365),
        }
    }
}

/// One sweep, under the name of its parameter.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) sweep: Sweep,
}

impl Policy {
    /// In an order in which one sweep leaves its remains to a later one: runs before their logs.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let always = |wanted: bool, sweep| wanted.then_some(sweep);
        [
            ("expiredUploads", always(self.expired_uploads, Sweep::ExpiredUploads)),
            ("oversizeUploads", always(self.oversize_uploads, Sweep::OversizeUploads)),
            ("orphanMetadata", always(self.orphan_metadata, Sweep::OrphanMetadata)),
            ("oldRunsDays", self.old_runs_days.map(Sweep::OldRuns)),
            ("orphanLogs", always(self.orphan_logs, Sweep::OrphanLogs)),
            ("expiredSessions", always(self.expired_sessions, Sweep::ExpiredSessions)),
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
    fn everything_is_swept_unless_told_and_runs_are_kept_as_configured() {
        assert_eq!(names("{}").len(), 8);
        assert_eq!(names(r#"{"oldRunsDays": 7}"#)[3..5], ["oldRunsDays", "orphanLogs"]);
    }

    #[test]
    fn null_and_false_leave_a_sweep_out() {
        let left = names(r#"{"oldAuditEntriesDays": null, "expiredUploads": false, "oldRunsDays": 7}"#);
        assert_eq!(left.len(), 7);
        assert!(!names("{}").contains(&"oldRunsDays"));
        assert!(!left.contains(&"oldAuditEntriesDays") && !left.contains(&"expiredUploads"));
    }

    #[test]
    fn a_typing_mistake_is_told() {
        assert!(serde_json::from_str::<Policy>(r#"{"oldRunDays": 7}"#).is_err());
    }
}
