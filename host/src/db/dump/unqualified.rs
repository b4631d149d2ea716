//! Finds functions that a plain `pg_restore` can't call while it loads an archive.
//!
//! `pg_restore` loads with an empty `search_path`. A function that names a table, function or type without its schema
//! fails then, and with it the check constraint, generated column, index or materialized view that calls it. `restore`
//! sets the functions' `search_path` before it loads rows; other programs don't.

use crate::db::ExclusiveClient;

/// Maximum number of functions reported per dump.
const MAX_REPORTED: i64 = 20;

/// Selects the functions. The columns are the function, an object that calls it, and a name without a schema.
const QUERY: &str = r#"
WITH users AS (
    SELECT d.refobjid AS function, pg_catalog.min(pg_catalog.pg_describe_object(d.classid, d.objid, 0)) AS object
    FROM pg_catalog.pg_depend d
    LEFT JOIN pg_catalog.pg_attrdef def
        ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND def.oid = d.objid
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = def.adrelid AND a.attnum = def.adnum
    LEFT JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid
    LEFT JOIN pg_catalog.pg_class c
        ON c.oid = CASE d.classid WHEN 'pg_catalog.pg_class'::pg_catalog.regclass THEN d.objid ELSE r.ev_class END
    WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
      AND (d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
           OR a.attgenerated <> '' OR c.relkind IN ('i', 'I', 'm'))
    GROUP BY d.refobjid
), names AS (
    SELECT relname AS name FROM pg_catalog.pg_class
    WHERE relnamespace = 'public'::pg_catalog.regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION SELECT proname FROM pg_catalog.pg_proc WHERE pronamespace = 'public'::pg_catalog.regnamespace
    UNION SELECT typname FROM pg_catalog.pg_type
    WHERE typnamespace = 'public'::pg_catalog.regnamespace AND typtype IN ('e', 'd')
)
SELECT p.oid::pg_catalog.regprocedure::pg_catalog.text, users.object, pg_catalog.min(names.name::pg_catalog.text)
FROM users
JOIN pg_catalog.pg_proc p ON p.oid = users.function
JOIN pg_catalog.pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('internal', 'c')
JOIN names ON p.prosrc ~* ('(^|[^[:alnum:]_."$])"?' ||
    pg_catalog.regexp_replace(names.name::pg_catalog.text, '([^[:alnum:]_])', '\\\1', 'g') || '"?($|[^[:alnum:]_."$])')
WHERE p.prosqlbody IS NULL
  AND NOT EXISTS (SELECT FROM pg_catalog.unnest(p.proconfig) AS setting WHERE setting LIKE 'search_path=%')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
                  WHERE e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND e.objid = p.oid AND e.deptype = 'e')
GROUP BY p.oid, users.object
ORDER BY 1
LIMIT $1"#;

/// A function that a plain `pg_restore` can't call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnqualifiedFunction {
    /// With schema and argument types, quoted.
    pub function: String,
    /// The object that calls it, for example `constraint valid on table public.items`.
    pub used_by: String,
    /// A name that the function uses without a schema.
    pub name: String,
}

impl UnqualifiedFunction {
    /// Returns the problem and its remedy, for the owner.
    pub fn warning(&self) -> String {
        let Self { function, used_by, name } = self;
        format!(
            "A plain pg_restore can't load this backup: the function {function}, which {used_by} uses, names `{name}` \
             without its schema and sets no search_path. AtlasHub can load it. To fix it, run: ALTER FUNCTION \
             {function} SET search_path = public"
        )
    }
}

/// Finds the functions in the transaction's snapshot. The session must have an empty `search_path`, so that Postgres
/// returns names with their schemas.
pub(super) async fn find(client: &ExclusiveClient) -> Result<Vec<UnqualifiedFunction>, tokio_postgres::Error> {
    let exists = "SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'public'";
    if client.query_opt(exists, &[]).await?.is_none() {
        return Ok(Vec::new());
    }
    let rows = client.query(QUERY, &[&MAX_REPORTED]).await?;
    // The description is null if the object was dropped after the snapshot.
    let function = |row: &tokio_postgres::Row| {
        let used_by = row.get::<_, Option<String>>(1)?;
        Some(UnqualifiedFunction { function: row.get(0), used_by, name: row.get(2) })
    };
    Ok(rows.iter().filter_map(function).collect())
}
