//! Lists the jobs that use a plugin, and counts its runs of the last 24 hours and those in progress.

use std::collections::HashMap;

use api_types::{Plugin, PluginUse, RunCount};
use sqlx::PgPool;
use uuid::Uuid;

/// The plugin that runs the jobs of type `http`. Such a job does not name its plugin.
const HTTP_PLUGIN: &str = "http-job";
/// Maximum number of jobs that are listed with a plugin.
const MAX_LISTED_JOBS: i64 = 200;

#[derive(sqlx::FromRow)]
struct UseRow {
    plugin: String,
    job_count: i64,
    id: Uuid,
    name: String,
    plugin_job: String,
    project_id: Option<String>,
    project_name: Option<String>,
    enabled: bool,
}

#[derive(sqlx::FromRow)]
struct RunsRow {
    plugin: String,
    total: i64,
    failed: i64,
    active: i64,
}

/// Adds the jobs that use the plugins, and the numbers of the plugins' runs.
pub(super) async fn add_use(pool: &PgPool, plugins: &mut [Plugin]) -> Result<(), sqlx::Error> {
    let names: Vec<String> = plugins.iter().map(|plugin| plugin.name.clone()).collect();
    let (uses, runs) = tokio::try_join!(uses(pool, &names), runs(pool, &names))?;
    let by_name: HashMap<&str, usize> = names.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
    let index_of = |plugin: &str| by_name.get(plugin).copied();
    for row in uses {
        let Some(plugin) = index_of(&row.plugin).and_then(|index| plugins.get_mut(index)) else { continue };
        plugin.used_by_count = row.job_count;
        plugin.used_by.push(PluginUse {
            job_id: row.id.to_string(),
            job_name: row.name,
            plugin_job: row.plugin_job,
            project_id: row.project_id,
            project_name: row.project_name,
            enabled: row.enabled,
        });
    }
    for row in runs {
        let Some(plugin) = index_of(&row.plugin).and_then(|index| plugins.get_mut(index)) else { continue };
        plugin.runs_24h = RunCount { total: row.total, failed: row.failed };
        plugin.active_run_count = row.active;
    }
    Ok(())
}

async fn uses(pool: &PgPool, names: &[String]) -> Result<Vec<UseRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT u.plugin, u.job_count, u.id, u.name, u.plugin_job, u.project_id, p.name AS project_name, u.enabled
         FROM (SELECT used.plugin, j.id, j.name, coalesce(j.plugin_job, '') AS plugin_job, j.project_id, j.enabled,
                      count(*) OVER (PARTITION BY used.plugin) AS job_count,
                      row_number() OVER (PARTITION BY used.plugin ORDER BY lower(j.name), j.id) AS position
               FROM cron_jobs j
               CROSS JOIN LATERAL (SELECT CASE j.type WHEN 'http' THEN $2 ELSE j.plugin END AS plugin) AS used
               WHERE used.plugin = ANY($1)) AS u
         LEFT JOIN projects p ON p.id = u.project_id
         WHERE u.position <= $3 ORDER BY u.plugin, u.position",
    )
    .bind(names)
    .bind(HTTP_PLUGIN)
    .bind(MAX_LISTED_JOBS)
    .fetch_all(pool)
    .await
}

async fn runs(pool: &PgPool, names: &[String]) -> Result<Vec<RunsRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT plugin, count(*) FILTER (WHERE created_at > now() - interval '24 hours') AS total,
                count(*) FILTER (WHERE created_at > now() - interval '24 hours' AND status IN ('fail', 'timeout'))
                    AS failed,
                count(*) FILTER (WHERE status = 'running') AS active
         FROM cron_job_runs
         WHERE plugin = ANY($1) AND (created_at > now() - interval '24 hours' OR status = 'running')
         GROUP BY plugin",
    )
    .bind(names)
    .fetch_all(pool)
    .await
}
