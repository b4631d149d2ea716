//! The list of running processes. Each reports every ten seconds.

use std::time::Duration;

use api_types::Node;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::SystemFacts;

const REPORT_INTERVAL: Duration = Duration::from_secs(10);
/// Seconds without a report after which a process no longer counts as alive.
const ALIVE_SECONDS: f64 = 30.0;

/// Reports this process regularly. Never returns.
pub async fn report_regularly(platform: PgPool, facts: std::sync::Arc<SystemFacts>) {
    let mut ticks = tokio::time::interval(REPORT_INTERVAL);
    loop {
        ticks.tick().await;
        if let Err(error) = report(&platform, &facts).await {
            tracing::debug!(%error, "could not report this node");
        }
    }
}

/// Removes this process from the list.
pub async fn leave(platform: &PgPool, facts: &SystemFacts) {
    if let Err(error) = sqlx::query("DELETE FROM nodes WHERE id = $1").bind(facts.node_id).execute(platform).await {
        tracing::debug!(%error, "could not remove this node from the list of nodes");
    }
}

/// Reports this process, and removes processes that have not reported for a day.
async fn report(platform: &PgPool, facts: &SystemFacts) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH removed AS (DELETE FROM nodes WHERE last_seen_at < now() - interval '1 day' AND id <> $1)
         INSERT INTO nodes (id, role, version, started_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO UPDATE SET last_seen_at = now()",
    )
    .bind(facts.node_id)
    .bind(facts.role.as_str())
    .bind(env!("CARGO_PKG_VERSION"))
    .bind(facts.started_at)
    .execute(platform)
    .await
    .map(drop)
}

#[derive(sqlx::FromRow)]
struct NodeRow {
    id: Uuid,
    role: String,
    version: String,
    started_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    alive: bool,
}

/// Returns up to 1000 processes that reported within a day, the most recently started first.
pub(super) async fn nodes(platform: &PgPool, current: Uuid) -> Result<Vec<Node>, sqlx::Error> {
    let rows: Vec<NodeRow> = sqlx::query_as(
        "SELECT id, role, version, started_at, last_seen_at,
             last_seen_at > now() - make_interval(secs => $1) AS alive
         FROM nodes WHERE last_seen_at > now() - interval '1 day' ORDER BY started_at DESC, id LIMIT 1000",
    )
    .bind(ALIVE_SECONDS)
    .fetch_all(platform)
    .await?;
    let nodes = rows.into_iter().map(|row| Node {
        id: row.id.to_string(),
        role: row.role,
        version: row.version,
        started_at: row.started_at,
        last_seen_at: row.last_seen_at,
        alive: row.alive,
        current: row.id == current,
    });
    Ok(nodes.collect())
}
