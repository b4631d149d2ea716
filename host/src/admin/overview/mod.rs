//! The overview: the state of the whole installation, and what needs the owner's attention.
//!
//! Only this module decides what needs attention. `attention` contains the rules, `queries` the SQL, and `routes` the
//! endpoint. The list is in the order of [`api_types::AttentionKind`]. If a part can't be determined, the overview
//! contains the other parts, and `problems` names the missing one. The list of plugins is an exception: it may be
//! missing right after a start, without a problem.

mod attention;
mod queries;
pub(super) mod routes;

use std::{collections::HashMap, time::Duration};

use api_types::{Connections, OldestBackup, Overview, OverviewFacts, Protection};
use chrono::{DateTime, Utc};

use super::{AdminState, system::measure};
use crate::{
    backups::BackupsState,
    db::migrations,
    error::ApiResult,
    jobs::Jobs,
    notifications,
    plugins::Plugins,
    projects::{ProjectsState, Survey},
};

/// Maximum age of cached sizes and findings of projects' databases.
const MAX_SURVEY_AGE: Duration = Duration::from_secs(60);
/// Time limit for the list of plugins, which is not complete right after a start. After this time, the overview is made
/// without plugins.
const PLUGINS_TIMEOUT: Duration = Duration::from_millis(500);

/// State of the overview: the slices that it reads.
#[derive(Clone)]
pub struct OverviewState {
    pub admin: AdminState,
    pub projects: ProjectsState,
    pub jobs: Jobs,
    pub backups: BackupsState,
    pub plugins: Plugins,
}

impl OverviewState {
    /// Computes the overview.
    ///
    /// # Errors
    /// Fails if the projects or the numbers can't be read from the platform database.
    pub async fn compute(&self, now: DateTime<Utc>) -> ApiResult<Overview> {
        let platform = &self.admin.platform;
        let projects = self.projects.all().await?;
        let (postgres, store, disk) = tokio::join!(
            measure::postgres(platform),
            measure::store(&self.admin.store),
            measure::data_disk(&self.admin.system)
        );
        let (numbers, surveys, protection, jobs, keys, plugins, channels, migrations) = tokio::join!(
            queries::numbers(platform, now),
            self.projects.surveys.surveys(&projects, MAX_SURVEY_AGE),
            self.backups.protection(now),
            self.jobs.concerns(),
            queries::expiring_keys(platform),
            tokio::time::timeout(PLUGINS_TIMEOUT, self.plugins.list()),
            notifications::channel_health(platform),
            async { migrations::status(&mut *platform.acquire().await?).await },
        );
        let numbers = numbers?;
        let mut unknown = Unknown::default();
        let disk = unknown.or_none("The free space of the disk", disk).filter(|_| self.admin.system.embedded);
        let surveys = unknown.or_none("The sizes and tables of the projects' databases", surveys);
        let protection = unknown.or_default("The state of the backups", protection);
        let (open, budget) = self.admin.pools.usage();
        let facts = OverviewFacts {
            project_count: projects.len() as i64,
            database_bytes: surveys.as_ref().and_then(total_size),
            object_count: numbers.object_count,
            object_bytes: numbers.object_bytes,
            runs_24h: numbers.runs(),
            oldest_backup: oldest_backup(&protection),
            without_backup_count: protection.iter().filter(|target| target.last_good.is_none()).count() as i64,
            connections: Connections { open: open as i64, budget: budget as i64 },
            disk,
            postgres: postgres.0,
            store,
        };
        let mut attention = [
            attention::of_services(&facts),
            attention::of_backups(&protection),
            attention::of_jobs(&unknown.or_default("The state of the jobs", jobs), &projects),
            attention::of_keys(unknown.or_default("The API keys", keys), now),
            attention::of_plugins(&plugins.unwrap_or_default()),
            attention::of_tables(&surveys.unwrap_or_default(), &projects),
            attention::of_migrations(&unknown.or_default("The migrations", migrations)),
            attention::of_projects(&projects, now),
        ]
        .concat();
        if let Some(channels) = unknown.or_none("The notification channels", channels) {
            attention.extend(attention::of_channels(&channels));
        }
        attention.sort_by_key(|item| item.kind);
        Ok(Overview { at: now, facts, attention, problems: unknown.0 })
    }
}

/// Returns the size of all surveyed databases, in bytes. `None` if the size of one is unknown.
fn total_size(surveys: &HashMap<String, Survey>) -> Option<i64> {
    surveys.values().map(|survey| survey.database_bytes).sum()
}

/// Returns the database whose last good backup is the oldest.
fn oldest_backup(protection: &[Protection]) -> Option<OldestBackup> {
    let with_backup = protection.iter().filter_map(|target| Some((target, target.last_good.clone()?)));
    let (target, backup) = with_backup.min_by_key(|(_, backup)| backup.at)?;
    Some(OldestBackup { target: target.target.clone(), title: target.title.clone(), backup })
}

/// Messages about the parts that could not be determined.
#[derive(Default)]
struct Unknown(Vec<String>);

impl Unknown {
    fn or_none<T, E: std::fmt::Display>(&mut self, what: &str, result: Result<T, E>) -> Option<T> {
        result
            .map_err(|error| {
                tracing::warn!(what, %error, "a part of the overview could not be determined");
                self.0.push(format!("{what} could not be determined."));
            })
            .ok()
    }

    fn or_default<T: Default, E: std::fmt::Display>(&mut self, what: &str, result: Result<T, E>) -> T {
        self.or_none(what, result).unwrap_or_default()
    }
}
