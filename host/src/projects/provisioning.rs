//! Making a project: rows, roles, database, bucket, keys; all of it or nothing.
//!
//! The rows come first, in state `creating`, so that whatever a crash leaves behind can be found and undone.
//! A session lock is held meanwhile: who can take it knows that nobody is at work any more.

use chrono::Utc;
use rand::Rng;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use api_types::{CreatedProject, KeyType};

use super::{ProjectRef, ProjectsState, database, keys, queries, user_tokens};
use crate::{
    db::DbRole,
    error::{ApiError, ApiResult, Code},
    object_store::StoreError,
    secrets,
};

/// Why a step of making or removing a project failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProvisionError {
    #[error("Postgres: {0}")]
    Database(#[from] sqlx::Error),
    #[error("object store: {0}")]
    Store(#[from] StoreError),
    #[error("sealing: {0}")]
    Seal(#[from] secrets::SealError),
    #[error("signing key: {0}")]
    SigningKey(anyhow::Error),
    #[error("another process is at work on this project")]
    Busy,
}

impl From<ProvisionError> for ApiError {
    fn from(error: ProvisionError) -> Self {
        match error {
            ProvisionError::Database(error) => match error.as_database_error().and_then(|error| error.constraint()) {
                Some("projects_name_key") => {
                    Self::new(Code::Conflict, "A project with this name exists.").with_hint("Choose another name.")
                }
                _ => {
                    let denied =
                        error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "42501");
                    if denied {
                        Self::internal(error)
                            .with_hint("The platform's Postgres role lacks a right; `atlashub doctor` says which.")
                    } else {
                        error.into()
                    }
                }
            },
            ProvisionError::Store(error) => error.into(),
            ProvisionError::Busy => {
                Self::new(Code::Conflict, "The project is being changed right now.").with_hint("Try again in a moment.")
            }
            ProvisionError::Seal(error) => Self::internal(error),
            ProvisionError::SigningKey(error) => Self::internal(error),
        }
    }
}

/// Makes a project. Runs to its end, or to its undoing, whether or not the caller waits.
pub(super) async fn create_project(state: &ProjectsState, name: String) -> ApiResult<CreatedProject> {
    let state = state.clone();
    tokio::spawn(async move { provision(&state, &name).await })
        .await
        .map_err(ApiError::internal)?
        .map_err(ApiError::from)
}

async fn provision(state: &ProjectsState, name: &str) -> Result<CreatedProject, ProvisionError> {
    let id = new_project_id();
    let mut connection = database::connect_as_platform(&state.database_url, None).await?;
    lock(&mut connection, &id).await?;
    let result = provision_locked(state, &mut connection, &id, name).await;
    if let Err(error) = &result {
        tracing::warn!(project = id, error = error.to_string(), "a project could not be made; undoing what was done");
        if let Err(error) = undo(state, &mut connection, &id).await {
            tracing::error!(project = id, error = error.to_string(), "undoing failed; the next sweep finishes it");
        }
    }
    let _ = connection.close().await;
    result
}

async fn provision_locked(
    state: &ProjectsState,
    connection: &mut PgConnection,
    id: &str,
    name: &str,
) -> Result<CreatedProject, ProvisionError> {
    let mut passwords = Vec::with_capacity(DbRole::ALL.len());
    let (publishable, secret) = (keys::generate(KeyType::Publishable), keys::generate(KeyType::Secret));
    let mut rows = connection.begin().await?;
    queries::insert_project(&mut *rows, id, name).await?;
    for role in DbRole::ALL {
        let password = secrets::random_password();
        let identity = super::credentials::identity(id, role);
        queries::insert_credential(&mut *rows, id, role.suffix(), &state.sealer.seal(password.as_bytes(), &identity)?)
            .await?;
        passwords.push((role, password));
    }
    for bucket in ["private", "uploads"] {
        queries::insert_bucket(&mut *rows, id, bucket, state.max_object_bytes).await?;
    }
    for (key_type, key) in [(KeyType::Publishable, &publishable), (KeyType::Secret, &secret)] {
        queries::insert_key(&mut *rows, &keys::new_row(Uuid::now_v7(), id, key_type, "default", key, None)).await?;
    }
    user_tokens::insert_signing_key(&mut rows, &state.sealer, id).await?;
    rows.commit().await?;

    for (role, password) in &passwords {
        database::create_role(connection, id, *role, password).await?;
    }
    database::create_database(connection, id).await?;
    database::prepare_database(&state.database_url, id).await?;
    state.store.ensure_bucket(&format!("proj-{id}")).await?;

    queries::set_state(&mut *connection, id, "ready").await?;
    let project = queries::project(&state.platform, id).await?.unwrap_or_else(|| ProjectRef {
        id: id.to_owned(),
        name: name.to_owned(),
        state: api_types::ProjectState::Ready,
        cors_origins: Vec::new(),
        created_at: Utc::now(),
        updated_at: Utc::now(),
        delete_after_run: None,
        delete_problem: None,
    });
    tracing::info!(project = id, "project made");
    Ok(CreatedProject { project: project.to_wire(), publishable_key: publishable, secret_key: secret })
}

/// Removes whatever there is of a project, the row last, so that a failure leaves something to find.
pub(super) async fn undo(state: &ProjectsState, connection: &mut PgConnection, id: &str) -> Result<(), ProvisionError> {
    state.pools.close(id);
    database::drop_database_and_roles(connection, id).await?;
    state.store.delete_bucket_with_contents(&format!("proj-{id}")).await?;
    queries::delete_project(&mut *connection, id).await?;
    state.projects.forget(id);
    Ok(())
}

/// Takes the project's lock for the life of the connection.
pub(super) async fn lock(connection: &mut PgConnection, id: &str) -> Result<(), ProvisionError> {
    let taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended('atlashub project ' || $1, 0))")
        .bind(id)
        .fetch_one(connection)
        .await?;
    if taken { Ok(()) } else { Err(ProvisionError::Busy) }
}

/// 16 lowercase letters and digits, the first a letter: safe as part of a database's and a bucket's name.
fn new_project_id() -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
    const ALL: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = rand::rng();
    (0..16)
        .map(|i| {
            let set = if i == 0 { LETTERS } else { ALL };
            set[random.random_range(0..set.len())] as char
        })
        .collect()
}
