//! Carries over the revocations made since a backup: a restore of the platform database must not bring back a revoked
//! key, plugin or hash, or an older serial.

use serde_json::Value;
use sqlx::PgConnection;

/// Pairs of statements: the first reads from the current platform database, and the second changes the restored one
/// accordingly. An API key or approval that is missing in the current database counts as revoked, if that database
/// belongs to the same installation.
const MERGES: [(&str, &str); 6] = [
    // Keys that were revoked since, keys that were removed after they were revoked or had expired, and keys that now
    // expire earlier.
    (
        "SELECT coalesce(jsonb_agg(jsonb_build_object('project', p.id, 'keys', (
             SELECT jsonb_object_agg(k.id, k.expires_at) FROM api_keys k
             WHERE k.project_id = p.id AND k.revoked_at IS NULL))), '[]') FROM projects p",
        "UPDATE api_keys k SET
             revoked_at = CASE WHEN coalesce(p.keys, '{}') ? k.id::text THEN k.revoked_at ELSE now() END,
             expires_at = least(k.expires_at, (p.keys ->> k.id::text)::timestamptz)
         FROM jsonb_to_recordset($1) AS p(project text, keys jsonb)
         WHERE k.project_id = p.project AND k.revoked_at IS NULL",
    ),
    (
        "SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM trusted_keys t WHERE revoked_at IS NOT NULL",
        "INSERT INTO trusted_keys
         SELECT (jsonb_populate_record(NULL::trusted_keys, t)).* FROM jsonb_array_elements($1) t
         ON CONFLICT (id) DO UPDATE SET revoked_at = coalesce(trusted_keys.revoked_at, excluded.revoked_at)",
    ),
    (
        "SELECT CASE WHEN EXISTS (SELECT FROM projects) THEN coalesce(jsonb_object_agg(name, key_id), '{}') END
         FROM plugin_approvals WHERE revoked_at IS NULL",
        "UPDATE plugin_approvals a SET revoked_at = now()
         WHERE $1 <> 'null'::jsonb AND a.revoked_at IS NULL AND ($1 ->> a.name) IS DISTINCT FROM a.key_id",
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

/// The revocations of the current platform database: one value for each of [`MERGES`].
pub(super) struct Revocations(Vec<Value>);

/// Reads the revocations from the current platform database.
pub(super) async fn read(present: &mut PgConnection) -> Result<Revocations, sqlx::Error> {
    let mut values = Vec::with_capacity(MERGES.len());
    for (read, _) in MERGES {
        let value: Option<Value> = sqlx::query_scalar(read).fetch_optional(&mut *present).await?.flatten();
        values.push(value.unwrap_or_default());
    }
    Ok(Revocations(values))
}

/// Applies the revocations to the restored database.
pub(super) async fn apply(restored: &mut PgConnection, revocations: &Revocations) -> Result<(), sqlx::Error> {
    for ((_, apply), value) in MERGES.into_iter().zip(&revocations.0) {
        // Nothing was read, and the statement does not handle null.
        if value.is_null() && !apply.contains("'null'") {
            continue;
        }
        sqlx::query(apply).bind(value).execute(&mut *restored).await?;
    }
    Ok(())
}
