//! Swaps databases and records the swap, in one transaction.

use api_types::RestoreState;
use async_trait::async_trait;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Restores,
    failure::RestoreFailure,
    queries::{self, RestoreRow},
};
use crate::{
    jobs::Runs,
    plugins::RunLease,
    projects::{RecordSwap, Swap},
};

struct Record {
    restore: Uuid,
    lease: RunLease,
    state: RestoreState,
    kept: String,
}

#[async_trait]
impl RecordSwap for Record {
    async fn record(&self, transaction: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let Self { restore, lease, state, kept } = self;
        Ok(Runs::lock_lease(transaction, lease.run_id, lease.lease).await?
            && queries::record_swap(transaction, *restore, lease.run_id, *state, kept).await?)
    }
}

impl Restores {
    /// Swaps the databases, and sets the state of the restore. Runs to its end even if the future is dropped.
    pub(super) async fn swap(
        &self,
        row: &RestoreRow,
        lease: RunLease,
        state: RestoreState,
        swap: &Swap,
    ) -> Result<(), RestoreFailure> {
        let record = Record { restore: row.id, lease, state, kept: swap.kept.clone() };
        let (replacements, swap) = (self.replacements.clone(), swap.clone());
        Ok(tokio::spawn(async move { replacements.swap(&swap, &record).await }).await??)
    }
}
