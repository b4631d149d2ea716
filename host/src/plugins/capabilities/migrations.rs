//! The interface `migrations`: lists and applies the migrations of the platform database.

use api_types::{Migration, MigrationState};
use wasmtime::component::Linker;

use crate::{
    db::migrations::{self as platform, MigrationError},
    error::describe_cause,
    plugins::guest::{
        Accessor, CallError, Host, RunState, begin_call,
        bindings::{migrations, types::ErrorCode},
        check_lease,
    },
};

pub(super) fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    migrations::add_to_linker::<_, Host>(linker, |state| state)
}

impl migrations::Host for RunState {}

impl migrations::HostWithStore<RunState> for Host {
    async fn status(accessor: &Accessor) -> Result<Vec<migrations::Migration>, CallError> {
        let run = begin_call(accessor, 0)?;
        let _permit = run.enter().await;
        let mut connection = run.services.platform.acquire().await.map_err(MigrationError::from)?;
        let migrations = platform::status(&mut connection).await.map_err(MigrationError::from)?;
        Ok(migrations.into_iter().map(to_wit).collect())
    }

    /// Applies the pending migrations like `atlashub migrate`: under the same lock, and each in its own transaction. So
    /// no migration is half applied if this future is dropped.
    async fn apply(accessor: &Accessor) -> Result<Vec<migrations::Migration>, CallError> {
        let run = begin_call(accessor, 0)?;
        let _permit = run.enter().await;
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
                Self::unavailable("the migrations of the platform database could not be read or applied")
                    .caused_by("migrations", describe_cause(&error))
            }
            error => Self::new(ErrorCode::Failed, error.to_string()),
        }
    }
}
