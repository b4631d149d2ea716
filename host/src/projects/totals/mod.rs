//! The list of projects and their totals.
//!
//! - `surveys`: numbers that only a project's own database contains, with a cache.
//! - `queries`: numbers about projects from the platform database.
//! - `routes`: the list of projects.
//!
//! The totals count rows of other slices, such as runs and backups. This module reads them with SQL of its own and does
//! not call those slices.

mod queries;
pub(super) mod routes;
mod surveys;

use std::{collections::HashMap, time::Duration};

use api_types::{GoodBackup, ProjectTotals, RunCount};

use chrono::{TimeDelta, Utc};

use super::{ProjectRef, ProjectsState};

pub use surveys::{Survey, Surveys};

/// Maximum age of the runs that are counted.
const RUN_SPAN: TimeDelta = TimeDelta::hours(24);

impl ProjectsState {
    /// Returns the totals of the projects by their ids. Database sizes and table counts are at most `max_age` old.
    ///
    /// # Errors
    /// Returns the error of a query of the platform database.
    pub async fn totals(
        &self,
        projects: &[ProjectRef],
        max_age: Duration,
    ) -> Result<HashMap<String, ProjectTotals>, sqlx::Error> {
        let ids: Vec<String> = projects.iter().map(|project| project.id.clone()).collect();
        let since = Utc::now() - RUN_SPAN;
        let (rows, surveys) =
            tokio::try_join!(queries::totals(&self.platform, &ids, since), self.surveys.surveys(projects, max_age))?;
        let totals = rows.into_iter().map(|row| {
            let survey = surveys.get(&row.id);
            let last_good_backup = row.backup_id.zip(row.backup_at).map(|(id, at)| GoodBackup {
                id: id.to_string(),
                at,
                verified_at: row.backup_verified_at,
            });
            let totals = ProjectTotals {
                database_bytes: survey.and_then(|survey| survey.database_bytes),
                table_count: survey.and_then(|survey| survey.table_count),
                object_count: row.object_count,
                object_bytes: row.object_bytes,
                active_key_count: row.active_key_count,
                next_key_expiry: row.next_key_expiry,
                keys_last_used_at: row.keys_last_used_at,
                job_count: row.job_count,
                backup_count: row.backup_count,
                last_good_backup,
                runs_24h: RunCount { total: row.run_count, failed: row.failed_run_count },
            };
            (row.id, totals)
        });
        Ok(totals.collect())
    }
}
