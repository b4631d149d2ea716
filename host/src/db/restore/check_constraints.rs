//! Takes check constraints out of a database while rows are loaded.
//!
//! `pg_restore` creates check constraints together with their tables, so Postgres checks every row that it loads. If
//! the function of a constraint reads a table whose rows come later, the row is refused. So the constraints that call
//! functions of the archive are dropped before the rows are loaded, and added again afterwards. By then the indexes
//! exist, without which such a function may be slow.
//!
//! Postgres itself writes the statements, because an archive can contain any name. They run as the role that loads the
//! archive, like the statements of the archive itself.

use std::collections::HashSet;

use tokio_postgres::error::SqlState;

use super::{
    RestoreError,
    failed_objects::{FailedObjects, refusal_of},
};
use crate::db::{ExclusiveClient, dump::stderr::shorten};

/// Selects the check constraints of the role's tables and domains that call, directly or through an operator, a
/// function that belongs neither to Postgres nor to an extension. Constraints that are `NOT VALID` are included,
/// because Postgres also checks new rows against them. The columns are the id, the name for messages, the statements
/// that drop and add the constraint, whether it is valid, whether it is inherited from no other table, and the
/// statement that adds its comment.
const CONSTRAINTS: &str = "
WITH functions AS (
    SELECT p.oid FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
                      WHERE e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND e.objid = p.oid
                        AND e.deptype = 'e')
), callers AS (
    SELECT d.objid FROM pg_catalog.pg_depend d
    JOIN functions ON functions.oid = d.refobjid
    WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
      AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    UNION
    SELECT d.objid FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_operator o ON o.oid = d.refobjid
    JOIN functions ON functions.oid = o.oprcode::pg_catalog.oid
    WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
      AND d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass
), checks AS (
    SELECT con.oid, con.conname, con.convalidated, con.coninhcount = 0 AS is_root, n.nspname,
        COALESCE(c.relname, t.typname) AS relname, CASE WHEN c.oid IS NULL THEN 'DOMAIN' ELSE 'TABLE' END AS kind,
        pg_catalog.pg_get_constraintdef(con.oid) AS definition,
        pg_catalog.obj_description(con.oid, 'pg_constraint') AS description
    FROM callers
    JOIN pg_catalog.pg_constraint con ON con.oid = callers.objid AND con.contype = 'c'
    LEFT JOIN pg_catalog.pg_class c ON c.oid = con.conrelid
    LEFT JOIN pg_catalog.pg_type t ON t.oid = con.contypid
    JOIN pg_catalog.pg_namespace n ON n.oid = COALESCE(c.relnamespace, t.typnamespace)
    WHERE (c.relkind IN ('r', 'p') OR t.typtype = 'd')
      AND COALESCE(c.relowner, t.typowner) = (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = CURRENT_USER)
)
SELECT oid, pg_catalog.format('CHECK CONSTRAINT %s.%s %s', nspname, relname, conname),
    pg_catalog.format('ALTER %s %I.%I DROP CONSTRAINT %I', kind, nspname, relname, conname),
    pg_catalog.format('ALTER %s %I.%I ADD CONSTRAINT %I %s', kind, nspname, relname, conname, definition),
    convalidated, is_root,
    CASE WHEN description IS NOT NULL THEN pg_catalog.format('COMMENT ON CONSTRAINT %I ON %s%I.%I IS %L', conname,
        CASE kind WHEN 'DOMAIN' THEN 'DOMAIN ' ELSE '' END, nspname, relname, description) END
FROM checks
ORDER BY nspname, relname, conname";

/// The constraints that were taken out.
pub(super) struct TakenOut {
    /// A constraint comes after those that it is inherited from, so that adding them in this order gives each table the
    /// constraint as it was: its own, inherited, or both.
    constraints: Vec<Constraint>,
    /// Statements that add the comments again, also those on inherited constraints.
    comments: Vec<String>,
}

struct Constraint {
    /// For messages: `CHECK CONSTRAINT public.items affordable`.
    name: String,
    add: String,
    is_valid: bool,
}

/// Drops the constraints. The tables must be empty. A constraint that Postgres would not accept again stays, for
/// example one of a domain that is used in an array.
pub(super) async fn take_out(client: &ExclusiveClient) -> Result<TakenOut, RestoreError> {
    let mut rows = client.query(CONSTRAINTS, &[]).await.map_err(unreadable)?;
    let comments = rows.iter().filter_map(|row| row.get(6)).collect();
    let (mut constraints, mut kept) = (Vec::new(), HashSet::new());
    loop {
        let taken_before = constraints.len();
        for row in rows.iter().filter(|row| row.get(5)) {
            let (id, drop_statement): (u32, &str) = (row.get(0), row.get(2));
            if kept.contains(&id) {
                continue;
            }
            let constraint = Constraint { name: shorten(row.get(1)), add: row.get(3), is_valid: row.get(4) };
            if try_to_drop(client, drop_statement, &constraint).await? {
                constraints.push(constraint);
            } else {
                kept.insert(id);
            }
        }
        if constraints.len() == taken_before {
            return Ok(TakenOut { constraints, comments });
        }
        // A table that has a constraint of its own and inherits the same one keeps its own, which can be dropped now.
        rows = client.query(CONSTRAINTS, &[]).await.map_err(unreadable)?;
    }
}

/// Drops a constraint, unless it can't be added again. Returns whether it was dropped.
async fn try_to_drop(
    client: &ExclusiveClient,
    drop_statement: &str,
    constraint: &Constraint,
) -> Result<bool, RestoreError> {
    // A savepoint would not work here: after `ALTER DOMAIN … DROP CONSTRAINT`, Postgres fails at the next change in a
    // savepoint.
    let trial = format!("BEGIN; {drop_statement}; {}; ROLLBACK", constraint.add);
    let Err(error) = client.batch_execute(&trial).await else {
        client.batch_execute(drop_statement).await.map_err(unreadable)?;
        return Ok(true);
    };
    let reason = match error.code() {
        // The transaction locks every partition, and the server's table of locks may be too small for that.
        Some(&SqlState::OUT_OF_MEMORY) => error.to_string(),
        _ => refusal_of(error, &constraint.name)?.message,
    };
    tracing::debug!(reason, "a check constraint stays while rows are loaded");
    client.batch_execute("ROLLBACK").await.map_err(unreadable)?;
    Ok(false)
}

impl TakenOut {
    /// Adds the constraints again. If rows violate a constraint, it becomes `NOT VALID`. If its function fails in
    /// another way, `failed_objects` decides whether the restore fails or the constraint becomes `NOT VALID`. Returns
    /// descriptions of the constraints that are now `NOT VALID`, and of the comments that could not be added.
    ///
    /// The functions can change the session, so don't use the session for anything else.
    pub(super) async fn put_back(
        &self,
        client: &ExclusiveClient,
        failed_objects: FailedObjects,
    ) -> Result<Vec<String>, RestoreError> {
        let mut left_out = Vec::new();
        for Constraint { name, add, is_valid } in &self.constraints {
            let Err(error) = client.batch_execute(add).await else { continue };
            let refusal = refusal_of(error, name)?;
            let is_violated = refusal.code == SqlState::CHECK_VIOLATION
                // The table inherits the same constraint, which is `NOT VALID` because of other rows.
                || refusal.code == SqlState::INVALID_OBJECT_DEFINITION;
            if !is_violated && failed_objects == FailedObjects::Fail {
                return Err(RestoreError::FailedObject { object: name.clone(), message: refusal.message });
            }
            if !is_valid {
                return Err(RestoreError::Failed(format!("{name}: {}", refusal.message)));
            }
            if let Err(error) = client.batch_execute(&format!("{add} NOT VALID")).await {
                let refusal = refusal_of(error, name)?;
                return Err(RestoreError::Failed(format!("{name}: {}", refusal.message)));
            }
            left_out.push(format!("{name}: {}; the constraint is NOT VALID now", refusal.message));
        }
        for comment in &self.comments {
            if let Err(error) = client.batch_execute(comment).await {
                let refusal = refusal_of(error, "a comment on a check constraint")?;
                left_out.push(format!("a comment on a check constraint: {}", refusal.message));
            }
        }
        Ok(left_out)
    }
}

fn unreadable(error: tokio_postgres::Error) -> RestoreError {
    match refusal_of(error, "its check constraints can't be read") {
        Ok(refusal) => RestoreError::Failed(format!("its check constraints can't be read: {}", refusal.message)),
        Err(error) => error,
    }
}
