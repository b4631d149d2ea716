//! Grants the privileges of schema `public` again, after the schema was recreated or a table was moved to it.
//!
//! Migration tools reset a database with `DROP SCHEMA public CASCADE; CREATE SCHEMA public`. The privileges of the
//! project's roles, and the owner's default privileges for later tables, disappear with the schema. A table that is
//! moved to `public` from another schema never had them. Without them, no API key could reach the tables.

use crate::{
    db::{DbError, DbRole, ProjectPools},
    projects,
};

/// Grants the project's roles the privileges on schema `public` that they received when the project was created. Also
/// grants the secret key's role access to the tables and sequences that have no privileges at all. Runs as the
/// project's owner. Returns whether that succeeded.
///
/// # Errors
/// Fails if the database can't be reached. A schema of another owner is not an error.
pub(super) async fn grant(pools: &ProjectPools, project: &str) -> Result<bool, DbError> {
    let sql = format!(
        "{};
         DO $grant$
         DECLARE item pg_catalog.text;
         BEGIN
             FOR item IN
                 SELECT pg_catalog.format('%s ON %I.%I TO {app}',
                     CASE c.relkind WHEN 'S' THEN 'USAGE, SELECT, UPDATE' ELSE 'SELECT, INSERT, UPDATE, DELETE' END,
                     n.nspname, c.relname)
                 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = 'public' AND c.relowner = n.nspowner AND c.relacl IS NULL
                   AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
             LOOP
                 EXECUTE 'GRANT ' || item;
             END LOOP;
         END
         $grant$",
        projects::privileges_of_public(project),
        app = DbRole::App.name(project),
    );
    let mut client = pools.exclusive(project, DbRole::Owner).await?;
    client.mark_busy();
    let result = client.batch_execute(&sql).await;
    client.mark_idle();
    match result {
        Ok(()) => {
            tracing::info!(project, "granted the API keys' privileges on schema `public` again");
            Ok(true)
        }
        Err(error) if error.as_db_error().is_some() => {
            tracing::warn!(project, %error, "the owner can't grant privileges on schema `public`");
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}
