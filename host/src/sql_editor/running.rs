//! The runs in progress that can be cancelled by the id that their client chose.

use std::sync::Arc;

use dashmap::{DashMap, Entry};
use tokio_util::sync::CancellationToken;

use crate::{
    db::{DbRole, ProjectPools, Statement},
    error::{ApiError, ApiResult, Code},
};

const MAX_ID_LENGTH: usize = 64;

/// Project and id.
type Key = (String, String);

/// The runs of this node.
#[derive(Clone, Default)]
pub struct RunningQueries(Arc<DashMap<Key, CancellationToken>>);

/// A run in progress, until dropped.
pub(super) struct RunningQuery {
    queries: RunningQueries,
    key: Option<Key>,
    pub(super) cancelled: CancellationToken,
    /// Name of its connection in `pg_stat_activity`, by which other nodes find it.
    pub(super) name: String,
}

impl RunningQueries {
    /// Registers the start of a run. Without an id, it can't be cancelled.
    pub(super) fn begin(&self, project: &str, id: Option<&str>) -> ApiResult<RunningQuery> {
        let cancelled = CancellationToken::new();
        let key = match id {
            None => None,
            Some(id) => {
                check_id(id)?;
                let key = (project.to_owned(), id.to_owned());
                match self.0.entry(key.clone()) {
                    Entry::Occupied(_) => {
                        return Err(ApiError::new(Code::Conflict, format!("A run with the id `{id}` is in progress."))
                            .with_hint("Choose another `queryId` for each run."));
                    }
                    Entry::Vacant(entry) => entry.insert(cancelled.clone()),
                };
                Some(key)
            }
        };
        Ok(RunningQuery { queries: self.clone(), key, cancelled, name: connection_name(id) })
    }

    /// Cancels a run, including one on another node. Returns whether such a run was found.
    pub(super) async fn cancel(&self, pools: &ProjectPools, project: &str, id: &str) -> ApiResult<bool> {
        check_id(id)?;
        if let Some(cancelled) = self.0.get(&(project.to_owned(), id.to_owned())) {
            cancelled.cancel();
            return Ok(true);
        }
        let mut statement = Statement::new(
            "SELECT pg_catalog.pg_cancel_backend(pid) FROM pg_catalog.pg_stat_activity
             WHERE usename = session_user AND datname = pg_catalog.current_database() AND application_name = $1",
        );
        statement.push(Some(connection_name(Some(id))));
        Ok(!pools.fetch(project, DbRole::Owner, &statement).await?.is_empty())
    }
}

impl Drop for RunningQuery {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.queries.0.remove(key);
        }
    }
}

fn connection_name(id: Option<&str>) -> String {
    match id {
        // The name has at most 63 bytes, because Postgres cuts longer names.
        Some(id) => format!("sql:{}", id.get(id.len().saturating_sub(58)..).unwrap_or(id)),
        None => "sql".to_owned(),
    }
}

fn check_id(id: &str) -> ApiResult<()> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if (1..=MAX_ID_LENGTH).contains(&id.len()) && id.chars().all(is_allowed) {
        return Ok(());
    }
    Err(ApiError::invalid(format!("`queryId` must have 1 to {MAX_ID_LENGTH} letters, digits, `-` and `_`.")))
}
