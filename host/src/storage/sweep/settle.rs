//! Settles the staged objects of every ready project.

use super::{
    super::{
        open_uploads::{self, SettleReport},
        state::StorageState,
    },
    queries,
};
use crate::error::ApiResult;

/// Moves or deletes the staged objects, and removes the records of uploads that can no longer arrive.
pub(super) async fn settle_all_projects(state: &StorageState) -> ApiResult<SettleReport> {
    let mut sum = SettleReport::default();
    for project_id in queries::ready_project_ids(&state.platform).await? {
        loop {
            let report = open_uploads::settle_project(state, &project_id).await?;
            sum = sum.plus(report);
            if !report.has_more || report.deleted == 0 {
                break;
            }
        }
    }
    open_uploads::remove_expired(&state.platform).await?;
    Ok(sum)
}
