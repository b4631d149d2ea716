use std::{fmt, sync::Arc};

use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use super::{RestoreError, restorer::Inner};
use crate::db::connect::Login;

/// One for `pg_restore`, one to count, one that may still be closing.
const CONNECTIONS: u32 = 3;

/// Name of a scratch database and of the role it is for: `verify_<platform>_<run>_<number>`, in hexadecimal. `<platform>` is
/// made of the platform database's name, so that two platforms on one server leave one another's alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScratchName {
    text: String,
    /// The run that it was made for.
    pub run: Uuid,
}

impl ScratchName {
    pub(super) fn new(platform: &str, run: Uuid) -> Self {
        let number = Uuid::new_v4().simple().to_string();
        Self { text: format!("{}{}_{}", Self::prefix(platform), run.simple(), &number[..4]), run }
    }

    /// What all names of a platform begin with.
    pub fn prefix(platform: &str) -> String {
        let digest = Sha256::digest(platform.as_bytes());
        format!("verify_{:02x}{:02x}{:02x}{:02x}_", digest[0], digest[1], digest[2], digest[3])
    }

    /// None for what is no such name.
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

/// A scratch database and its role, removed when dropped.
pub(super) struct Scratch {
    inner: Arc<Inner>,
    name: ScratchName,
    /// Open for as long as the database is wanted, under its name: what has nobody who keeps it is a leftover.
    keeper: Option<PgConnection>,
}

impl Scratch {
    /// Makes both. To be run in a task of its own: a statement that nobody waits for any more goes on in Postgres.
    pub(super) async fn make(
        inner: Arc<Inner>,
        name: ScratchName,
        keeper: PgConnection,
        password: String,
    ) -> Result<Self, RestoreError> {
        // From here on it is removed if anything fails.
        let mut scratch = Self { inner, name, keeper: Some(keeper) };
        scratch.create(&password).await.map_err(RestoreError::from_administration)?;
        Ok(scratch)
    }

    async fn create(&mut self, password: &str) -> Result<(), sqlx::Error> {
        let (Some(connection), name) = (&mut self.keeper, &self.name.text) else { return Ok(()) };
        let (platform, superuser): (String, bool) =
            sqlx::query_as("SELECT quote_ident(rolname::text), rolsuper FROM pg_roles WHERE rolname = current_user")
                .fetch_one(&mut *connection)
                .await?;
        // Postgres gets the SCRAM verifier, so that the password never stands in its log. Past row-level security, since
        // all rows are to be counted, also where it is forced.
        let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
        let mut statements = vec![format!(
            "CREATE ROLE {name} LOGIN NOCREATEDB NOCREATEROLE BYPASSRLS CONNECTION LIMIT {CONNECTIONS} PASSWORD '{verifier}'"
        )];
        if !superuser {
            // As for projects' roles: since Postgres 16 who makes a role needs the grant to end its sessions.
            statements.push(format!("GRANT {name} TO {platform} WITH INHERIT TRUE, SET TRUE"));
        }
        statements.push(format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"));
        statements.push(format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"));
        statements.push(format!("GRANT CONNECT, TEMPORARY, CREATE ON DATABASE {name} TO {name}"));
        for statement in statements {
            execute(connection, statement).await?;
        }
        // The only time that the platform's role is in it: nothing of the archive is there yet.
        let mut inside = self.inner.connect(&self.name.text, Some(name)).await?;
        execute(&mut inside, format!("ALTER SCHEMA public OWNER TO {name}; REVOKE ALL ON SCHEMA public FROM PUBLIC"))
            .await?;
        inside.close().await
    }

    pub(super) fn login(&self, password: &str) -> Login {
        let name = self.name.text.clone();
        Login { user: Some(name.clone()), password: Some(crate::config::Secret::new(password)), database: name }
    }

    /// Removes both, and waits for it. Failing is no error: it is a leftover then.
    pub(super) async fn remove(mut self) {
        if let Some(keeper) = self.keeper.take() {
            let removing = self.inner.removals.spawn(remove(Arc::clone(&self.inner), self.name.clone(), keeper));
            if let Err(error) = removing.await {
                tracing::debug!(%error, "removing a scratch database was ended");
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let (Some(keeper), Ok(runtime)) = (self.keeper.take(), tokio::runtime::Handle::try_current()) {
            self.inner.removals.spawn_on(remove(Arc::clone(&self.inner), self.name.clone(), keeper), &runtime);
        }
    }
}

async fn remove(inner: Arc<Inner>, name: ScratchName, keeper: PgConnection) {
    if let Err(error) = remove_by_name(&inner, &name).await {
        tracing::warn!(%name, %error, "a scratch database could not be removed; a sweep will do it");
    }
    let _ = keeper.close().await;
}

/// Ends its sessions; what is gone already is no error.
pub(super) async fn remove_by_name(inner: &Inner, name: &ScratchName) -> Result<(), sqlx::Error> {
    let mut connection = inner.connect(&name.text, None).await?;
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
    fn names_say_whose_they_are_and_fit() {
        let name = ScratchName::new("platform", Uuid::now_v7());
        assert!(name.to_string().len() < 64 && name.to_string().starts_with("verify_"), "{name}");
        assert_eq!(ScratchName::parse("platform", &name.to_string()), Some(name.clone()));
        assert_eq!(ScratchName::parse("another", &name.to_string()), None);
        for text in ["verify_", &format!("{name}0"), &name.to_string().replace('_', "-"), "postgres"] {
            assert_eq!(ScratchName::parse("platform", text), None, "{text}");
        }
    }
}
