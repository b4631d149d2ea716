//! A temporary database and role for restoring an archive that is not trusted.

use std::{fmt, sync::Arc};

use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use super::{RestoreError, target_server::TargetServer};
use crate::{config::Secret, db::connect::Login};

/// Connection limit of a scratch role: one for `pg_restore`, one to count, and one that may still be closing.
const MAX_CONNECTIONS: u32 = 3;

/// Name of a scratch database and its role: `verify_<platform>_<run>_<number>`, in hexadecimal. `<platform>` is a hash
/// of the platform database's name, so that two platforms on one server don't remove each other's databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScratchName {
    text: String,
    /// The run that created it.
    pub run: Uuid,
}

impl ScratchName {
    pub(super) fn new(platform: &str, run: Uuid) -> Self {
        let number = Uuid::new_v4().simple().to_string();
        Self { text: format!("{}{}_{}", Self::prefix(platform), run.simple(), &number[..4]), run }
    }

    /// Returns the prefix of all scratch names of a platform.
    pub fn prefix(platform: &str) -> String {
        let digest = Sha256::digest(platform.as_bytes());
        format!("verify_{}_", hex::encode(&digest[..4]))
    }

    /// Parses a scratch name. Returns `None` if the text is not a scratch name of the platform.
    pub(super) fn parse(platform: &str, text: &str) -> Option<Self> {
        let (run, number) = text.strip_prefix(&Self::prefix(platform))?.split_once('_')?;
        let run = (run.len() == 32).then(|| Uuid::try_parse(run).ok())??;
        let is_number = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_number.then(|| Self { text: text.to_owned(), run })
    }
}

impl fmt::Display for ScratchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A scratch database and its role. Dropping this value removes both in the background.
pub(super) struct Scratch {
    server: Arc<TargetServer>,
    name: ScratchName,
    /// A session of the platform's role whose `application_name` is the scratch name. It marks the database as used:
    /// scratch databases without such a session are leftovers. Any role can set that name, so the search for leftovers
    /// also compares the session's user.
    marker: Option<PgConnection>,
}

impl Scratch {
    /// Creates the database and the role. Spawn this as a task, so that it can't be dropped halfway: Postgres would
    /// finish the current statement after the removal.
    pub(super) async fn create(
        server: Arc<TargetServer>,
        name: ScratchName,
        marker: PgConnection,
        password: String,
    ) -> Result<Self, RestoreError> {
        // If a step fails, dropping this value removes everything created so far.
        let mut scratch = Self { server, name, marker: Some(marker) };
        scratch.create_objects(&password).await.map_err(RestoreError::from_administration)?;
        Ok(scratch)
    }

    async fn create_objects(&mut self, password: &str) -> Result<(), sqlx::Error> {
        let (Some(connection), name) = (&mut self.marker, &self.name.text) else { return Ok(()) };
        let (platform, superuser): (String, bool) =
            sqlx::query_as("SELECT quote_ident(rolname::text), rolsuper FROM pg_roles WHERE rolname = current_user")
                .fetch_one(&mut *connection)
                .await?;
        // Postgres receives the SCRAM verifier, so that its log can't contain the password. The role bypasses row-level
        // security, so that all rows are counted even where row-level security is forced.
        let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
        let mut statements = vec![format!(
            "CREATE ROLE {name} LOGIN NOCREATEDB NOCREATEROLE BYPASSRLS CONNECTION LIMIT {MAX_CONNECTIONS} \
             PASSWORD '{verifier}'"
        )];
        if !superuser {
            // Since Postgres 16, the creator of a role needs this grant to give the role a schema, and to end its
            // sessions.
            statements.push(format!("GRANT {name} TO {platform} WITH INHERIT TRUE, SET TRUE"));
        }
        statements.push(format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"));
        statements.push(format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"));
        statements.push(format!("GRANT CONNECT, TEMPORARY, CREATE ON DATABASE {name} TO {name}"));
        for statement in statements {
            execute(connection, statement).await?;
        }
        // The platform's role connects to the database only here, before it contains anything from the archive.
        let mut inside = self.server.connect(&self.name.text, Some(name)).await?;
        execute(&mut inside, format!("ALTER SCHEMA public OWNER TO {name}; REVOKE ALL ON SCHEMA public FROM PUBLIC"))
            .await?;
        inside.close().await
    }

    pub(super) fn login(&self, password: &str) -> Login {
        let name = self.name.text.clone();
        Login { user: Some(name.clone()), password: Some(Secret::new(password)), database: name }
    }

    /// Removes the database and the role, and waits for the removal. A failure is logged: the database becomes a
    /// leftover.
    pub(super) async fn remove(mut self) {
        if let Some(marker) = self.marker.take() {
            let removing = self.server.removals.spawn(remove(Arc::clone(&self.server), self.name.clone(), marker));
            if let Err(error) = removing.await {
                tracing::debug!(%error, "removing a scratch database was aborted");
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let (Some(marker), Ok(runtime)) = (self.marker.take(), tokio::runtime::Handle::try_current()) {
            self.server.removals.spawn_on(remove(Arc::clone(&self.server), self.name.clone(), marker), &runtime);
        }
    }
}

async fn remove(server: Arc<TargetServer>, name: ScratchName, marker: PgConnection) {
    if let Err(error) = remove_by_name(&server, &name).await {
        tracing::warn!(%name, %error, "a scratch database could not be removed; the next sweep retries");
    }
    let _ = marker.close().await;
}

/// Removes a scratch database and its role, and terminates their sessions. Succeeds if they don't exist.
pub(super) async fn remove_by_name(server: &TargetServer, name: &ScratchName) -> Result<(), sqlx::Error> {
    let mut connection = server.connect(&name.text, None).await?;
    execute(&mut connection, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
    execute(&mut connection, format!("DROP ROLE IF EXISTS {name}")).await?;
    connection.close().await
}

async fn execute(connection: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_names_identify_their_platform_and_fit_identifiers() {
        let name = ScratchName::new("platform", Uuid::now_v7());
        assert!(name.to_string().len() < 64 && name.to_string().starts_with("verify_"), "{name}");
        assert_eq!(ScratchName::parse("platform", &name.to_string()), Some(name.clone()));
        assert_eq!(ScratchName::parse("another", &name.to_string()), None);
        for text in ["verify_", &format!("{name}0"), &name.to_string().replace('_', "-"), "postgres"] {
            assert_eq!(ScratchName::parse("platform", text), None, "{text}");
        }
    }
}
