//! The SQL that reads the audit log.

use api_types::{AuditEntry, AuditResult};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::db::audit;

/// Filters of entries. An entry must match all that are given.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditFilter {
    /// Only entries about this project.
    pub(super) project_id: Option<String>,
    /// An action such as `project.create`, or a prefix such as `project.*`.
    pub(super) action: Option<String>,
    /// Only entries of this actor.
    pub(super) actor: Option<String>,
    /// Only entries with this result.
    pub(super) result: Option<AuditResult>,
    /// Only entries at or after this time.
    pub(super) from: Option<DateTime<Utc>>,
    /// Only entries before this time.
    pub(super) to: Option<DateTime<Utc>>,
    /// Only entries about this resource, for example the id of a key.
    pub(super) target: Option<String>,
    /// Only entries whose actor, action, project, target, IP address, request id or details contain this text. Case is
    /// ignored.
    pub(super) q: Option<String>,
}

#[derive(sqlx::FromRow)]
pub(super) struct AuditRow {
    pub(super) id: Uuid,
    pub(super) at: DateTime<Utc>,
    actor: String,
    action: String,
    project_id: Option<String>,
    project_name: Option<String>,
    target: Option<String>,
    address: Option<String>,
    result: AuditResult,
    status: Option<i32>,
    request_id: Option<String>,
    details: Value,
}

/// Returns the entries that match, newest first, except those of changes that are in progress on this node. `after` is
/// the time and id of the previous page's last entry.
pub(super) async fn entries(
    pool: &PgPool,
    filter: &AuditFilter,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<AuditRow>, sqlx::Error> {
    let (after_at, after_id) = after.unzip();
    sqlx::query_as(
        "SELECT a.id, a.at, a.actor, a.action, a.project_id, p.name AS project_name, a.target, a.address,
                shown_result AS result, a.status, a.request_id, a.details
         FROM audit_logs a
         CROSS JOIN LATERAL (SELECT CASE WHEN a.pending THEN 'unknown' ELSE a.result END) AS shown (shown_result)
         LEFT JOIN projects p ON p.id = a.project_id
         WHERE ($1::text IS NULL OR a.project_id = $1)
           AND ($2::text IS NULL OR a.action = $2
                OR (right($2, 1) = '*' AND starts_with(a.action, left($2, -1))))
           AND ($3::text IS NULL OR a.actor = $3)
           AND ($4::text IS NULL OR shown_result = $4)
           AND ($5::timestamptz IS NULL OR a.at >= $5)
           AND ($6::timestamptz IS NULL OR a.at < $6)
           AND ($7::timestamptz IS NULL OR (a.at, a.id) < ($7, $8))
           AND NOT (a.pending AND a.id = ANY($10))
           AND ($11::text IS NULL OR a.target = $11)
           AND ($12::text IS NULL OR strpos(lower(concat_ws(E'\\n', a.actor, a.action, p.name, a.project_id, a.target,
                                                            a.address, a.request_id, a.details::text)), lower($12)) > 0)
         ORDER BY a.at DESC, a.id DESC
         LIMIT $9",
    )
    .bind(&filter.project_id)
    .bind(&filter.action)
    .bind(&filter.actor)
    .bind(filter.result)
    .bind(filter.from)
    .bind(filter.to)
    .bind(after_at)
    .bind(after_id)
    .bind(limit)
    .bind(audit::in_progress())
    .bind(&filter.target)
    .bind(&filter.q)
    .fetch_all(pool)
    .await
}

/// Returns the project of the resource that an action changes, by the resource's id. `None` if there is no such
/// resource, if it belongs to no project, and for actions whose path or details name the project.
pub(super) async fn project_of(pool: &PgPool, action: &str, target: &str) -> Result<Option<String>, sqlx::Error> {
    let sql = match action.split_once('.') {
        // A backup can be restored into another project than its own.
        Some(("backup", act)) if act != "restore" => {
            "SELECT substring(target FROM '^project:(.*)$') FROM backups WHERE id = $1"
        }
        Some(("export", _)) => "SELECT project_id FROM exports WHERE id = $1",
        Some(("import", _)) => "SELECT project_id FROM imports WHERE id = $1",
        Some(("job", _)) => "SELECT project_id FROM cron_jobs WHERE id = $1",
        Some(("restore", _)) => "SELECT project_id FROM restores WHERE id = $1",
        Some(("run", _)) => "SELECT project_id FROM cron_job_runs WHERE id = $1",
        _ => return Ok(None),
    };
    let Ok(id) = target.parse::<Uuid>() else { return Ok(None) };
    let project: Option<Option<String>> = sqlx::query_scalar(sql).bind(id).fetch_optional(pool).await?;
    Ok(project.flatten())
}

/// Returns every action that the log contains.
pub(super) async fn actions(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT DISTINCT action FROM audit_logs").fetch_all(pool).await
}

impl AuditRow {
    pub(super) fn into_wire(self) -> AuditEntry {
        AuditEntry {
            id: self.id.to_string(),
            at: self.at,
            actor: self.actor,
            action: self.action,
            project_id: self.project_id,
            project_name: self.project_name,
            target: self.target,
            address: self.address,
            result: self.result,
            status: self.status,
            request_id: self.request_id,
            details: self.details,
        }
    }
}
