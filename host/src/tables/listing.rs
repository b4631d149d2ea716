//! Lists tables with their exposure.

use api_types::{AdminTable, TableSummary};
use serde::de::DeserializeOwned;

use crate::{
    db::{DbRole, ProjectPools, Statement},
    error::{ApiError, ApiResult},
};

/// Returns one JSON array of [`AdminTable`].
///
/// The parameters are a table's name, or null for all (`$1`), the roles of publishable keys and of signed-in users
/// (`$2` and `$3`), the last name of the previous page (`$4`), the maximum number of tables (`$5`), and a part of the
/// names (`$6`).
///
/// A table that was never analyzed has no estimate of its rows, and autovacuum does not analyze a table of few rows. If
/// the table is small, Postgres's count of inserted and deleted rows replaces the estimate. A crash resets this count
/// to 0, so a count below the number of the table's pages is not used.
const LIST_TABLES: &str = r#"
SELECT coalesce(json_agg(json_build_object(
    'name', c.relname,
    'kind', CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view'
                           WHEN 'm' THEN 'materialized_view' WHEN 'f' THEN 'foreign_table' END,
    'columns', (
        SELECT coalesce(json_agg(json_build_object(
            'name', a.attname,
            'type', format_type(a.atttypid, a.atttypmod),
            'nullable', NOT (a.attnotnull OR t.typtype = 'd' AND (
                -- A domain can be based on another domain.
                WITH RECURSIVE below AS (
                    SELECT t.typbasetype, t.typnotnull
                    UNION ALL
                    SELECT b.typbasetype, b.typnotnull FROM below JOIN pg_type b ON b.oid = below.typbasetype)
                SELECT bool_or(typnotnull) FROM below)),
            'hasDefault', a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL,
            'primaryKey', coalesce(a.attnum = ANY (pk.conkey), false)) ORDER BY a.attnum), '[]'::json)
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    'primaryKey', (
        SELECT coalesce(json_agg(a.attname ORDER BY k.position), '[]'::json)
        FROM unnest(pk.conkey) WITH ORDINALITY AS k (attnum, position)
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum),
    'foreignKeys', (
        SELECT coalesce(json_agg(json_build_object(
            'name', f.conname,
            'columns', (SELECT json_agg(a.attname ORDER BY k.position)
                        FROM unnest(f.conkey) WITH ORDINALITY AS k (attnum, position)
                        JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum),
            'referencesTable', CASE WHEN r.relnamespace = c.relnamespace THEN r.relname
                                    ELSE rn.nspname || '.' || r.relname END,
            'referencesColumns', (SELECT json_agg(a.attname ORDER BY k.position)
                        FROM unnest(f.confkey) WITH ORDINALITY AS k (attnum, position)
                        JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.attnum)
            ) ORDER BY f.conname), '[]'::json)
        FROM pg_constraint f JOIN pg_class r ON r.oid = f.confrelid JOIN pg_namespace rn ON rn.oid = r.relnamespace
        -- Postgres repeats a reference to a partitioned table for each of its partitions.
        WHERE f.conrelid = c.oid AND f.contype = 'f'
          AND NOT EXISTS (SELECT FROM pg_constraint p WHERE p.oid = f.conparentid AND p.conrelid = f.conrelid)),
    'exposure', json_build_object(
        'publishable', CASE WHEN has_table_privilege($2, c.oid, 'INSERT, UPDATE, DELETE') THEN 'write'
                            WHEN has_table_privilege($2, c.oid, 'SELECT') THEN 'read' ELSE 'none' END,
        'signedIn', CASE WHEN has_table_privilege($3, c.oid, 'INSERT, UPDATE, DELETE') THEN 'write'
                         WHEN has_table_privilege($3, c.oid, 'SELECT') THEN 'read' ELSE 'none' END),
    'rowLevelSecurity', c.relrowsecurity,
    'forceRowLevelSecurity', c.relforcerowsecurity,
    'policies', (SELECT coalesce(json_agg(p.polname ORDER BY p.polname), '[]'::json)
                 FROM pg_policy p WHERE p.polrelid = c.oid),
    'estimatedRows', CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint
                          WHEN c.relkind <> 'r' OR pg_relation_size(c.oid) > 1048576 THEN NULL
                          WHEN pg_relation_size(c.oid) = 0 THEN 0
                          WHEN pg_stat_get_live_tuples(c.oid) >= pg_relation_size(c.oid) / 8192
                          THEN pg_stat_get_live_tuples(c.oid) END,
    'totalBytes', CASE WHEN c.relkind IN ('v', 'f') THEN 0 ELSE pg_total_relation_size(c.oid) END,
    'comment', obj_description(c.oid, 'pg_class')) ORDER BY c.relname), '[]'::json)::text
FROM pg_class c
LEFT JOIN pg_constraint pk ON pk.conrelid = c.oid AND pk.contype = 'p'
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND ($1::text IS NULL OR c.relname = $1) AND ($4::text IS NULL OR c.relname > $4) AND c.oid IN (
    SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
      AND ($4::text IS NULL OR relname > $4)
      AND ($6::text IS NULL OR strpos(lower(relname::text), lower($6)) > 0) ORDER BY relname LIMIT $5::bigint)"#;

/// Returns one JSON array of [`TableSummary`]. The parameters are those of [`LIST_TABLES`].
const LIST_SUMMARIES: &str = r#"
SELECT coalesce(json_agg(json_build_object(
    'name', c.relname,
    'kind', CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized_view' WHEN 'f' THEN 'foreign_table'
                           ELSE 'table' END,
    'columnCount', (SELECT count(*) FROM pg_attribute a
                    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    'hasPrimaryKey', EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p'),
    'exposure', json_build_object(
        'publishable', CASE WHEN has_table_privilege($2, c.oid, 'INSERT, UPDATE, DELETE') THEN 'write'
                            WHEN has_table_privilege($2, c.oid, 'SELECT') THEN 'read' ELSE 'none' END,
        'signedIn', CASE WHEN has_table_privilege($3, c.oid, 'INSERT, UPDATE, DELETE') THEN 'write'
                         WHEN has_table_privilege($3, c.oid, 'SELECT') THEN 'read' ELSE 'none' END),
    'rowLevelSecurity', c.relrowsecurity,
    'policyCount', (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid),
    'estimatedRows', CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint
                          WHEN c.relkind <> 'r' OR pg_relation_size(c.oid) > 1048576 THEN NULL
                          WHEN pg_relation_size(c.oid) = 0 THEN 0
                          WHEN pg_stat_get_live_tuples(c.oid) >= pg_relation_size(c.oid) / 8192
                          THEN pg_stat_get_live_tuples(c.oid) END,
    'totalBytes', CASE WHEN c.relkind IN ('v', 'f') THEN 0 ELSE pg_total_relation_size(c.oid) END,
    'comment', obj_description(c.oid, 'pg_class')) ORDER BY c.relname), '[]'::json)::text
FROM (SELECT * FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
        AND ($1::text IS NULL OR relname = $1) AND ($4::text IS NULL OR relname > $4)
        AND ($6::text IS NULL OR strpos(lower(relname::text), lower($6)) > 0)
      ORDER BY relname LIMIT $5::bigint) c"#;

/// The tables to list, sorted by name.
#[derive(Default)]
pub(super) struct Listing<'a> {
    /// Only this table.
    pub name: Option<&'a str>,
    /// Only tables after this name.
    pub after: Option<&'a str>,
    pub limit: Option<i64>,
    /// Only tables whose name contains this string, ignoring case.
    pub name_part: Option<&'a str>,
}

/// Returns the tables with their columns and keys.
pub(super) async fn list_tables(
    pools: &ProjectPools,
    project: &str,
    listing: Listing<'_>,
) -> ApiResult<Vec<AdminTable>> {
    list(LIST_TABLES, pools, project, listing).await
}

/// Returns the tables without columns and keys.
pub(super) async fn list_summaries(
    pools: &ProjectPools,
    project: &str,
    listing: Listing<'_>,
) -> ApiResult<Vec<TableSummary>> {
    list(LIST_SUMMARIES, pools, project, listing).await
}

async fn list<T: DeserializeOwned>(
    sql: &'static str,
    pools: &ProjectPools,
    project: &str,
    listing: Listing<'_>,
) -> ApiResult<Vec<T>> {
    let mut statement = Statement::new(sql);
    statement.push(listing.name);
    statement.push(Some(DbRole::Anon.name(project)));
    statement.push(Some(DbRole::User.name(project)));
    statement.push(listing.after);
    statement.push(listing.limit.map(|limit| limit.to_string()));
    statement.push(listing.name_part);
    let rows = pools.fetch(project, DbRole::Owner, &statement).await?;
    let json: &str = match rows.first() {
        Some(row) => row.try_get(0).map_err(ApiError::internal)?,
        None => "[]",
    };
    serde_json::from_str(json).map_err(ApiError::internal)
}
