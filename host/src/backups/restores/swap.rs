//! Swaps databases and records the swap, in one transaction.

use api_types::RestoreState;
use async_trait::async_trait;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Restores,
    failure::RestoreFailure,
    queries::{self, RestoreRow},
};
use crate::{
    db::audit::{self, NewAuditEntry},
    jobs::Runs,
    plugins::RunLease,
    projects::{RecordSwap, Swap},
};

struct Record {
    restore: Uuid,
    project: String,
    lease: RunLease,
    state: RestoreState,
    kept: String,
    /// `None` for a rollback.
    left_out: Option<Vec<String>>,
}

#[async_trait]
impl RecordSwap for Record {
    async fn record(&self, transaction: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let Self { restore, project, lease, state, kept, left_out } = self;
        let is_current = Runs::lock_lease(transaction, lease.run_id, lease.lease).await?
            && queries::record_swap(transaction, *restore, lease.run_id, *state, kept, left_out.as_deref()).await?;
        if is_current {
            let mut entry = finished("system", project, *restore, left_out.as_ref().map_or(0, Vec::len));
            if left_out.is_none() {
                entry.details = json!({ "rolledBack": true });
            }
            audit::record(transaction, &entry).await?;
        }
        Ok(is_current)
    }
}

/// Returns the audit entry of a restore that replaced the project's database.
pub(in crate::backups) fn finished(actor: &str, project: &str, restore: Uuid, left_out: usize) -> NewAuditEntry {
    let mut entry = NewAuditEntry::new(actor, "restore.finish");
    entry.project_id = Some(project.to_owned());
    entry.target = Some(restore.to_string());
    entry.details = json!({ "leftOut": left_out });
    entry
}

impl Restores {
    /// Swaps the databases, and sets the state of the restore. `left_out` describes what a restored database lacks, and
    /// is `None` for a rollback. Completes even if the future is dropped.
    pub(super) async fn swap(
        &self,
        row: &RestoreRow,
        lease: RunLease,
        state: RestoreState,
        swap: &Swap,
        left_out: Option<&[String]>,
    ) -> Result<(), RestoreFailure> {
        let record = Record {
            restore: row.id,
            project: row.project_id.clone(),
            lease,
            state,
            kept: swap.kept.clone(),
            left_out: left_out.map(<[String]>::to_vec),
        };
        let (replacements, swap) = (self.replacements.clone(), swap.clone());
        Ok(tokio::spawn(async move { replacements.swap(&swap, &record).await }).await??)
    }
}
