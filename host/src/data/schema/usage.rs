//! Grants USAGE on the schemas of types, for example on `extensions` with `citext`.
//!
//! SQL can name a type, and its operators, only with USAGE on their schema. Extensions and migration tools create
//! schemas without granting it. The privilege only allows naming the objects of the schema: its tables and functions
//! have privileges of their own.

use postgres_protocol::escape::escape_identifier;

use crate::db::{DbError, DbRole, ProjectPools};

/// Grants the role USAGE on these schemas, as the project's owner. Returns whether it was granted on at least one.
///
/// # Errors
/// Fails if the database can't be reached. A schema of another owner is not an error; the columns of its types can't
/// be used.
pub(super) async fn grant(
    pools: &ProjectPools,
    project: &str,
    role: DbRole,
    schemas: &[String],
) -> Result<bool, DbError> {
    let grantee = escape_identifier(&role.name(project));
    let mut client = pools.exclusive(project, DbRole::Owner).await?;
    let mut granted = false;
    for schema in schemas {
        let sql = format!("GRANT USAGE ON SCHEMA {} TO {grantee}", escape_identifier(schema));
        client.mark_busy();
        let result = client.batch_execute(&sql).await;
        client.mark_idle();
        match result {
            Ok(()) => granted = true,
            Err(error) if error.as_db_error().is_some() => {
                tracing::warn!(project, schema, role = role.suffix(), %error,
                    "the owner can't grant USAGE on the schema of a column's type");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(granted)
}
