//! Finds check constraints that can stop a plain `pg_restore`, because their functions read tables that are loaded
//! later.
//!
//! `pg_restore` loads the tables in the order of their schemas and names, and Postgres checks each row as it is loaded.
//! `restore` adds such constraints after the rows; other programs don't. Constraints that are `NOT VALID` are added
//! after the rows by every program.

use crate::db::ExclusiveClient;

/// Maximum number of constraints reported per dump.
const MAX_REPORTED: i64 = 20;

/// Selects the constraints. The columns are the constraint, its function, the table that is loaded (the first of
/// several), the table that the function reads, and the statements that make the constraint `NOT VALID`. A function
/// counts as reading a table if its text contains the name of the table or, for a function with a parsed body, if it
/// depends on the table.
const QUERY: &str = r#"
WITH RECURSIVE checks AS (
    SELECT con.oid, con.conrelid, con.contypid, con.conname, d.refobjid AS function
    FROM pg_catalog.pg_constraint con
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid = con.oid
        AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    WHERE con.contype = 'c' AND con.convalidated AND con.coninhcount = 0
), loaded AS (
    SELECT oid, conrelid AS relation FROM checks WHERE conrelid <> 0
    UNION
    SELECT checks.oid, a.attrelid FROM checks JOIN pg_catalog.pg_attribute a ON a.atttypid = checks.contypid
    WHERE checks.contypid <> 0 AND NOT a.attisdropped
    UNION
    SELECT loaded.oid, i.inhrelid FROM loaded JOIN pg_catalog.pg_inherits i ON i.inhparent = loaded.relation
), tables AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
), first_loaded AS (
    SELECT DISTINCT ON (loaded.oid) loaded.oid, tables.nspname, tables.relname, tables.name
    FROM loaded JOIN tables ON tables.oid = loaded.relation AND tables.relkind = 'r'
    ORDER BY loaded.oid, tables.nspname, tables.relname
), readings AS (
    SELECT DISTINCT ON (checks.oid) checks.*, l.name AS loaded, r.name AS read
    FROM checks
    JOIN pg_catalog.pg_proc p ON p.oid = checks.function
    JOIN pg_catalog.pg_language lang ON lang.oid = p.prolang AND lang.lanname NOT IN ('internal', 'c')
    JOIN first_loaded l ON l.oid = checks.oid
    JOIN tables r ON (r.nspname, r.relname) > (l.nspname, l.relname)
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
                      WHERE e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND e.objid = p.oid
                        AND e.deptype = 'e')
      AND CASE WHEN p.prosqlbody IS NULL THEN p.prosrc ~* '\m(from|join)\M' AND p.prosrc ~*
              ('(^|[^[:alnum:]_$])' || pg_catalog.regexp_replace(r.relname::pg_catalog.text, '([^[:alnum:]_])',
              '\\\1', 'g') || '($|[^[:alnum:]_$])')
          ELSE EXISTS (SELECT FROM pg_catalog.pg_depend d
                       WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid
                         AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = r.oid) END
    ORDER BY checks.oid, r.nspname, r.relname
)
SELECT pg_catalog.pg_describe_object('pg_catalog.pg_constraint'::pg_catalog.regclass, readings.oid, 0),
    function::pg_catalog.regprocedure::pg_catalog.text, loaded, read,
    CASE WHEN contypid = 0
        THEN pg_catalog.format('ALTER TABLE %1$s DROP CONSTRAINT %2$I, ADD CONSTRAINT %2$I %3$s NOT VALID',
            (SELECT name FROM tables WHERE tables.oid = conrelid), conname,
            pg_catalog.pg_get_constraintdef(readings.oid))
        ELSE pg_catalog.format('ALTER DOMAIN %1$s DROP CONSTRAINT %2$I; ' ||
                'ALTER DOMAIN %1$s ADD CONSTRAINT %2$I %3$s NOT VALID',
            pg_catalog.format_type(contypid, NULL), conname, pg_catalog.pg_get_constraintdef(readings.oid)) END
FROM readings
ORDER BY 3, 1
LIMIT $1"#;

/// A check constraint whose function reads a table that a plain `pg_restore` loads later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadingCheck {
    /// For example `constraint affordable on table public.items`.
    pub constraint: String,
    /// With schema and argument types, quoted.
    pub function: String,
    /// The table whose rows are checked.
    pub loaded: String,
    /// The table that the function reads.
    pub read: String,
    /// The statements that make the constraint `NOT VALID`.
    pub remedy: String,
}

impl ReadingCheck {
    /// Returns the problem and its remedy, for the owner.
    pub fn warning(&self) -> String {
        let Self { constraint, function, loaded, read, remedy } = self;
        format!(
            "A plain pg_restore can't load this backup if a row of {loaded} needs a row of {read}, which it loads \
             later: {constraint} calls the function {function}, which reads {read}. AtlasHub can load it. To fix it, \
             make the constraint NOT VALID, so that it applies to new and changed rows only: {remedy}"
        )
    }
}

/// Finds the constraints in the transaction's snapshot. The session must have an empty `search_path`, so that Postgres
/// returns names with their schemas.
pub(super) async fn find(client: &ExclusiveClient) -> Result<Vec<ReadingCheck>, tokio_postgres::Error> {
    let rows = client.query(QUERY, &[&MAX_REPORTED]).await?;
    // The description and the remedy are null if the constraint was dropped after the snapshot.
    let check = |row: &tokio_postgres::Row| {
        Some(ReadingCheck {
            constraint: row.get::<_, Option<String>>(0)?,
            function: row.get(1),
            loaded: row.get(2),
            read: row.get(3),
            remedy: row.get::<_, Option<String>>(4)?,
        })
    };
    Ok(rows.iter().filter_map(check).collect())
}
