//! A run as its host functions see it: identity, grants and services. This module also records denied calls in the
//! audit log.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use plugin_manifest::{Capability, Limits, Scope};
use sqlx::PgPool;

use super::{CallError, Grants, LoggedFailures, RunCalls, Services, bindings::types::ErrorCode};
use crate::{
    db::audit::{NewAuditEntry, record_or_log},
    jobs::{Redactor, RunCall, RunOutput},
};

/// Maximum number of denials of one run that are written to the audit log, so that a loop can't fill it.
const MAX_AUDITED_DENIALS: u32 = 20;
/// Maximum number of bytes of a denied target that the audit log keeps.
const MAX_TARGET_BYTES: usize = 500;

/// One run as the capabilities see it. Only its counters change during the run.
pub struct RunScope<S = Services> {
    /// Name of the plugin.
    pub plugin: String,
    pub grants: Arc<Grants>,
    pub call: RunCall,
    pub limits: Limits,
    pub output: Arc<dyn RunOutput>,
    /// Removes the run's secrets from text.
    pub redactor: Arc<Redactor>,
    pub services: Arc<S>,
    pub started: Instant,
    /// Time at which the run is stopped.
    pub deadline: Instant,
    pub denials: AuditedDenials,
    /// Limits of the run's host calls.
    pub calls: RunCalls,
    pub failures: LoggedFailures,
}

/// Number of a run's denials so far, and the database whose audit log contains them.
pub struct AuditedDenials {
    platform: PgPool,
    count: AtomicU32,
}

impl AuditedDenials {
    pub fn new(platform: PgPool) -> Self {
        Self { platform, count: AtomicU32::new(0) }
    }
}

impl<S> RunScope<S> {
    /// Returns the granted scope of a capability. The scope is empty if the capability is not granted.
    pub fn scope(&self, capability: Capability) -> &Scope {
        static EMPTY: Scope =
            Scope { databases: Vec::new(), stores: Vec::new(), hosts: Vec::new(), secrets: Vec::new() };
        self.grants.scopes.get(&capability).unwrap_or(&EMPTY)
    }

    /// Records in the audit log that a call was outside its grant, and returns the error for the guest.
    ///
    /// `target` names the requested resource, for example ``database `project:x` ``.
    pub fn deny(&self, capability: Capability, target: &str) -> CallError {
        self.record_denial(capability, target);
        CallError::new(
            ErrorCode::Denied,
            format!(
                "the grant of plugin `{}` for `{capability}` does not include {target}; approve the plugin again with \
                 it in the scope",
                self.plugin
            ),
        )
    }

    /// Writes the cause of a failed call to the server's log, once per run and kind of cause.
    pub fn log_failure(&self, error: &CallError) {
        if let Some(failure) = error.cause() {
            self.failures.record(&self.call.run_id, &self.plugin, failure);
        }
    }

    /// Records a denial in the audit log, up to a maximum per run. [`RunScope::deny`] calls this.
    pub fn record_denial(&self, capability: Capability, target: &str) {
        if self.denials.count.fetch_add(1, Ordering::Relaxed) >= MAX_AUDITED_DENIALS {
            return;
        }
        let mut entry = NewAuditEntry::new("system", "plugin.denied");
        entry.target = Some(self.plugin.clone());
        entry.project_id.clone_from(&self.call.project);
        entry.result = api_types::AuditResult::Denied;
        entry.details = serde_json::json!({
            "capability": capability.as_str(),
            "wanted": &target[..target.floor_char_boundary(MAX_TARGET_BYTES)],
            "runId": self.call.run_id,
            "job": self.call.job,
        });
        let pool = self.denials.platform.clone();
        // A separate task writes the entry, so that it is written even if the run is stopped.
        tokio::spawn(async move { record_or_log(&pool, &entry).await });
    }
}

impl<S> Drop for RunScope<S> {
    fn drop(&mut self) {
        self.failures.log_repeated(&self.call.run_id, &self.plugin);
    }
}
