use api_types::{Migration, MigrationState};

use super::{begin_call, check_lease};
use crate::{
    db::migrations::{self as platform, MigrationError},
    plugins::runtime::{
        Accessor, CallError, Host, RunState,
        bindings::{migrations, types::ErrorCode},
    },
};

impl migrations::Host for RunState {}

impl migrations::HostWithStore<RunState> for Host {
    async fn status(accessor: &Accessor) -> Result<Vec<migrations::Migration>, CallError> {
        let run = begin_call(accessor, 0)?;
        let listed = platform::status(&run.services.platform).await.map_err(MigrationError::from)?;
        Ok(listed.into_iter().map(to_wit).collect())
    }

    /// As `atlashub migrate`: under the same lock, each in a transaction of its own, so that dropping this leaves whole ones.
    async fn apply(accessor: &Accessor) -> Result<Vec<migrations::Migration>, CallError> {
        let run = begin_call(accessor, 0)?;
        check_lease(&run).await?;
        let applied = platform::apply(run.services.database_url.expose()).await?;
        for migration in &applied {
            tracing::info!(version = migration.version, name = migration.name, "a plugin applied a migration");
        }
        Ok(applied.into_iter().map(|migration| migrations::Migration { applied: true, ..to_wit(migration) }).collect())
    }
}

fn to_wit(migration: Migration) -> migrations::Migration {
    migrations::Migration {
        version: migration.version.unsigned_abs(),
        name: migration.name,
        applied: migration.state != MigrationState::Pending,
        applied_at: migration.applied_at.and_then(|at| u64::try_from(at.timestamp_millis()).ok()),
    }
}

impl From<MigrationError> for CallError {
    fn from(error: MigrationError) -> Self {
        match error {
            MigrationError::Database(error) => {
                tracing::warn!(%error, "a plugin's call to the migrations failed");
                Self::unavailable("the platform database can't be reached")
            }
            error => Self::new(ErrorCode::Failed, error.to_string()),
        }
    }
}
