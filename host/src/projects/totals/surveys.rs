//! Sizes, table counts and unprotected tables of projects' databases, with a cache.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use api_types::ProjectState;
use dashmap::DashMap;
use futures_util::{StreamExt as _, stream};
use sqlx::PgPool;

use crate::{
    db::{DbRole, ProjectPools},
    projects::{ProjectRef, queries},
};

/// Maximum number of databases that are queried at the same time.
const MAX_PARALLEL_SURVEYS: usize = 4;
/// Time limit for all databases together. The tables of a database that responds later are unknown.
const SURVEY_TIMEOUT: Duration = Duration::from_secs(5);
/// Age at which results are removed.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Counts the tables, and lists those that the publishable role may change although no row-level security limits it.
const SURVEY: &str = "\
    SELECT count(*), coalesce(pg_catalog.array_agg(c.relname::text ORDER BY c.relname) FILTER (
               WHERE NOT c.relrowsecurity AND (
                   pg_catalog.has_any_column_privilege($1::text::name, c.oid, 'INSERT')
                   OR pg_catalog.has_any_column_privilege($1::text::name, c.oid, 'UPDATE')
                   OR pg_catalog.has_table_privilege($1::text::name, c.oid, 'DELETE'))), '{}')
    FROM pg_catalog.pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')";

/// Numbers that only a project's own database contains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Size of the database, in bytes. `None` if the database does not exist.
    pub database_bytes: Option<i64>,
    /// Number of tables in the schema `public`. `None` if the database failed or did not respond in time.
    pub table_count: Option<i64>,
    /// Tables that publishable keys may change, and whose rows no row-level security protects. Empty if `table_count`
    /// is `None`.
    pub open_tables: Vec<String>,
}

/// The surveys of all projects, cached. Cheap to clone.
#[derive(Clone)]
pub struct Surveys {
    platform: PgPool,
    pools: ProjectPools,
    cached: Arc<DashMap<String, (Instant, Survey)>>,
    /// Lets one request at a time query the databases; others use its results.
    query_lock: Arc<tokio::sync::Mutex<()>>,
}

impl Surveys {
    pub fn new(platform: PgPool, pools: ProjectPools) -> Self {
        Self { platform, pools, cached: Arc::default(), query_lock: Arc::default() }
    }

    /// Returns the surveys of the projects that are ready, at most `max_age` old.
    ///
    /// # Errors
    /// Returns the error of a query of the platform database. If a project's database fails or does not respond in
    /// time, its survey has no number of tables.
    pub async fn surveys(
        &self,
        projects: &[ProjectRef],
        max_age: Duration,
    ) -> Result<HashMap<String, Survey>, sqlx::Error> {
        let ready = projects.iter().filter(|project| project.state == ProjectState::Ready);
        let ids: Vec<String> = ready.map(|project| project.id.clone()).collect();
        if !self.stale(&ids, max_age).is_empty() {
            let _guard = self.query_lock.lock().await;
            let stale = self.stale(&ids, max_age);
            self.query(&stale).await?;
        }
        Ok(ids.into_iter().filter_map(|id| Some((id.clone(), self.cached.get(&id)?.1.clone()))).collect())
    }

    /// Removes the cached survey of a project.
    pub fn forget(&self, project: &str) {
        self.cached.remove(project);
    }

    fn stale(&self, ids: &[String], max_age: Duration) -> Vec<String> {
        let is_stale = |id: &&String| self.cached.get(*id).is_none_or(|entry| entry.0.elapsed() > max_age);
        ids.iter().filter(is_stale).cloned().collect()
    }

    async fn query(&self, ids: &[String]) -> Result<(), sqlx::Error> {
        if ids.is_empty() {
            return Ok(());
        }
        self.cached.retain(|_, (at, _)| at.elapsed() < MAX_AGE);
        let started_at = Instant::now();
        let sizes: HashMap<String, i64> = queries::project_databases(&self.platform, ids)
            .await?
            .into_iter()
            .map(|(id, _, bytes)| (id, bytes))
            .collect();
        let deadline = tokio::time::Instant::now() + SURVEY_TIMEOUT;
        let surveys = stream::iter(ids.iter().cloned()).map(|id| async move {
            let counted = tokio::time::timeout_at(deadline, self.count_tables(&id)).await;
            let (table_count, open_tables) = counted.ok().flatten().unzip();
            (id, table_count, open_tables.unwrap_or_default())
        });
        let surveys: Vec<_> = surveys.buffer_unordered(MAX_PARALLEL_SURVEYS).collect().await;
        for (id, table_count, open_tables) in surveys {
            let survey = Survey { database_bytes: sizes.get(&id).copied(), table_count, open_tables };
            self.cached.insert(id, (started_at, survey));
        }
        Ok(())
    }

    /// Counts the tables of a project. Uses a connection that is closed afterwards, because apps need the connections
    /// that are kept open.
    async fn count_tables(&self, id: &str) -> Option<(i64, Vec<String>)> {
        let counted = async {
            let mut client = self.pools.exclusive(id, DbRole::Owner).await?;
            client.mark_busy();
            let role = DbRole::Anon.name(id);
            let row = client.query_one(SURVEY, &[&role]).await?;
            client.mark_idle();
            Ok::<_, crate::db::DbError>((row.try_get(0)?, row.try_get(1)?))
        };
        match counted.await {
            Ok(counted) => Some(counted),
            Err(error) => {
                tracing::warn!(project = id, %error, "could not count the tables of a project");
                None
            }
        }
    }
}
