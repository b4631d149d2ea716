//! Carries over the revocations made since a backup: a restore of the platform database must not bring back a revoked
//! key, plugin or hash, or an older serial.
//!
//! The current platform database lacks keys that were removed after they were revoked, and keys of projects that were
//! deleted. So a key that is missing there counts as revoked, and so does a missing approval of a plugin. The audit log
//! is no better source: its old entries are removed, and it does not record when a rotated key ends. The current
//! approval of a plugin replaces the restored one, because the owner may have narrowed its grants.
//!
//! Missing keys and approvals count as revoked only if both databases belong to the same installation. On a new
//! machine, the current database lacks all keys, and contains only default approvals.
//!
//! The restores that keep a project's previous database are carried over too. Without these rows, nothing would list
//! the kept databases.

use serde_json::Value;
use sqlx::PgConnection;

/// A pair of statements: the first reads from the current platform database, and the second changes the restored one
/// accordingly.
type Merge = (&'static str, &'static str);

/// Merges of revocations that the current database records.
const RECORDED: [Merge; 5] = [
    (
        "SELECT coalesce(jsonb_agg(name), '[]') FROM plugin_approvals WHERE revoked_at IS NOT NULL",
        "UPDATE plugin_approvals SET revoked_at = now() WHERE revoked_at IS NULL AND $1 ? name",
    ),
    (
        "SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM trusted_keys t WHERE revoked_at IS NOT NULL",
        "INSERT INTO trusted_keys
         SELECT (jsonb_populate_record(NULL::trusted_keys, t)).* FROM jsonb_array_elements($1) t
         ON CONFLICT (id) DO UPDATE SET revoked_at = coalesce(trusted_keys.revoked_at, excluded.revoked_at)",
    ),
    (
        "SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM plugin_revoked_hashes t",
        "INSERT INTO plugin_revoked_hashes
         SELECT (jsonb_populate_record(NULL::plugin_revoked_hashes, t)).* FROM jsonb_array_elements($1) t
         ON CONFLICT DO NOTHING",
    ),
    (
        "SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM plugin_serials t",
        "INSERT INTO plugin_serials
         SELECT (jsonb_populate_record(NULL::plugin_serials, t)).* FROM jsonb_array_elements($1) t
         ON CONFLICT (name) DO UPDATE SET serial = excluded.serial, sha256 = excluded.sha256,
             seen_at = excluded.seen_at WHERE excluded.serial > plugin_serials.serial",
    ),
    (
        "SELECT to_jsonb(version) FROM plugin_trust",
        "UPDATE plugin_trust SET version = greatest(version, ($1)::text::bigint) + 1",
    ),
];

/// The merge of restores that keep a project's previous database.
const KEPT_DATABASES: Merge = (
    "SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM restores t
     WHERE previous_database IS NOT NULL AND state IN ('done', 'failed', 'cancelled', 'rolledBack')",
    "INSERT INTO restores
     SELECT (jsonb_populate_record(NULL::restores, '{\"left_out\": []}'::jsonb || t)).*
     FROM jsonb_array_elements($1) t
     WHERE EXISTS (SELECT FROM projects p WHERE p.id = t ->> 'project_id')
     ON CONFLICT (id) DO UPDATE SET state = excluded.state, previous_database = excluded.previous_database,
         run_id = excluded.run_id, error_text = excluded.error_text, finished_at = excluded.finished_at",
);

/// Merges after which keys and approvals allow no more than in the current database. Keys and approvals that are
/// missing in the current database are revoked. Applied only if both databases belong to the same installation.
const CURRENT: [Merge; 2] = [
    // Keys that were revoked since the backup, or removed with their project, and keys that now expire earlier.
    (
        "SELECT coalesce(jsonb_object_agg(k.id, k.expires_at), '{}')
         FROM api_keys k JOIN projects p ON p.id = k.project_id
         WHERE k.revoked_at IS NULL AND p.state <> 'deleting'",
        "UPDATE api_keys k SET
             revoked_at = CASE WHEN $1 ? k.id::text THEN NULL ELSE now() END,
             expires_at = least(k.expires_at, ($1 ->> k.id::text)::timestamptz)
         WHERE k.revoked_at IS NULL",
    ),
    // Approvals that were changed or deleted since the backup. Settings and secrets stay those of the backup.
    (
        "SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM plugin_approvals t WHERE revoked_at IS NULL",
        "UPDATE plugin_approvals a SET
             key_id = coalesce(c.key_id, a.key_id),
             granted = coalesce(c.granted, a.granted),
             requested = coalesce(c.requested, a.requested),
             approved_by = coalesce(c.approved_by, a.approved_by),
             approved_at = coalesce(c.approved_at, a.approved_at),
             revoked_at = CASE WHEN c.name IS NULL THEN now() END
         FROM plugin_approvals o LEFT JOIN jsonb_populate_recordset(NULL::plugin_approvals, $1) c ON c.name = o.name
         WHERE o.name = a.name AND a.revoked_at IS NULL",
    ),
];

/// The revocations of the current platform database.
pub(super) struct Revocations {
    /// Ids of the projects that exist and are not being deleted.
    projects: Vec<String>,
    /// Ids of the projects that exist or existed, as far as they are known.
    known_projects: Vec<String>,
    /// One value for each of [`RECORDED`].
    recorded: Vec<Value>,
    /// One value for each of [`CURRENT`].
    current: Vec<Value>,
    /// The value for [`KEPT_DATABASES`]. Null if it can't be read, for example from a database of an older version.
    kept_databases: Value,
}

/// Reads the revocations from the current platform database.
pub(super) async fn read(present: &mut PgConnection) -> Result<Revocations, sqlx::Error> {
    Ok(Revocations {
        projects: sqlx::query_scalar("SELECT id FROM projects WHERE state <> 'deleting'")
            .fetch_all(&mut *present)
            .await?,
        // A deleted project leaves entries in the audit log.
        known_projects: sqlx::query_scalar(
            "SELECT id FROM projects
             UNION SELECT project_id FROM audit_logs WHERE project_id IS NOT NULL AND result = 'success'",
        )
        .fetch_all(&mut *present)
        .await?,
        recorded: read_all(present, &RECORDED).await?,
        current: read_all(present, &CURRENT).await?,
        kept_databases: read_kept_databases(present).await,
    })
}

async fn read_kept_databases(present: &mut PgConnection) -> Value {
    match sqlx::query_scalar(KEPT_DATABASES.0).fetch_one(present).await {
        Ok(value) => value,
        Err(error) => {
            tracing::warn!(%error, "restores of the current platform database are not carried over");
            Value::Null
        }
    }
}

async fn read_all(present: &mut PgConnection, merges: &[Merge]) -> Result<Vec<Value>, sqlx::Error> {
    let mut values = Vec::with_capacity(merges.len());
    for (read, _) in merges {
        let value: Option<Value> = sqlx::query_scalar(*read).fetch_optional(&mut *present).await?.flatten();
        values.push(value.unwrap_or_default());
    }
    Ok(values)
}

/// Applies the revocations to the restored database. Returns the names of the projects that the current database does
/// not have. All their keys are revoked. Returns `None` if the current database knows none of the restored projects, so
/// that it may belong to another installation. Then only the revocations that apply to any installation are applied.
pub(super) async fn apply(
    restored: &mut PgConnection,
    revocations: &Revocations,
) -> Result<Option<Vec<String>>, sqlx::Error> {
    apply_all(restored, &RECORDED, &revocations.recorded).await?;
    apply_all(restored, &[KEPT_DATABASES], std::slice::from_ref(&revocations.kept_databases)).await?;
    let is_same_installation: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM projects WHERE id = ANY($1))")
        .bind(&revocations.known_projects)
        .fetch_one(&mut *restored)
        .await?;
    if !is_same_installation {
        return Ok(None);
    }
    apply_all(restored, &CURRENT, &revocations.current).await?;
    sqlx::query_scalar("SELECT name FROM projects WHERE id <> ALL($1) ORDER BY name")
        .bind(&revocations.projects)
        .fetch_all(restored)
        .await
        .map(Some)
}

async fn apply_all(restored: &mut PgConnection, merges: &[Merge], values: &[Value]) -> Result<(), sqlx::Error> {
    for ((_, apply), value) in merges.iter().zip(values) {
        // The value is null if the current database has no such row, or if it could not be read.
        if !value.is_null() {
            sqlx::query(*apply).bind(value).execute(&mut *restored).await?;
        }
    }
    Ok(())
}
