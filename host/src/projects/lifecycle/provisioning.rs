//! Creates a project completely or not at all: rows, roles, database, bucket, keys.
//!
//! The rows are inserted first, in state `creating`, so that everything a crash leaves behind can be found and removed.
//! A session lock is held from beginning to end: a process that can take it knows that no other process works on the
//! project.
//!
//! After a failure, the name is freed before anything is removed: while the object store is not available, the bucket
//! can't be removed, and the row stays until recovery removes both. If a crash left the name taken, the next request
//! that creates a project with this name frees it.

use api_types::{CreatedProject, KeyType, ProjectState};
use rand::Rng;
use sqlx::{Connection, PgConnection};
use zeroize::Zeroizing;

use super::{credentials, database, extensions, queries, removal, replacement};
use crate::{
    db::{
        DbRole,
        audit::{self, NewAuditEntry},
    },
    error::{ApiError, ApiResult, Code},
    object_store::{PLATFORM_BUCKET, StoreError, project_bucket},
    projects::{ProjectsState, gate::signing_keys, keys},
    secrets,
};

/// Buckets that every project has from the beginning.
const FIRST_BUCKETS: [&str; 2] = ["private", "uploads"];
/// Name of the two keys that every project has from the beginning.
const FIRST_KEY_NAME: &str = "default";

/// The reason why a project could not be created or deleted.
#[derive(Debug, thiserror::Error)]
pub(super) enum LifecycleError {
    #[error("Postgres: {0}")]
    Database(#[from] sqlx::Error),
    #[error("object store: {0}")]
    Store(#[from] StoreError),
    #[error("sealing: {0}")]
    Seal(#[from] secrets::SealError),
    #[error("signing key: {0}")]
    SigningKey(#[from] signing_keys::CreateSigningKeyError),
    #[error("another process is working on this project")]
    Busy,
    #[error("the project is protected from deletion")]
    Protected,
}

impl From<LifecycleError> for ApiError {
    fn from(error: LifecycleError) -> Self {
        match error {
            LifecycleError::Database(error) if is_name_taken(&error) => name_taken(),
            LifecycleError::Database(error) => {
                let code = error.as_database_error().and_then(|error| error.code());
                if code.is_some_and(|code| code == "42501") {
                    Self::internal(error).with_hint(
                        "The platform's Postgres role lacks a privilege; run `atlashub doctor` to see which.",
                    )
                } else {
                    error.into()
                }
            }
            LifecycleError::Store(error) => error.into(),
            LifecycleError::Busy => Self::new(Code::Conflict, "Another request is changing this project.")
                .with_hint("Try again in a moment."),
            LifecycleError::Protected => removal::protected(),
            LifecycleError::Seal(error) => Self::internal(error),
            LifecycleError::SigningKey(error) => Self::internal(error),
        }
    }
}

/// Returns whether the statement failed because another project has the name.
pub(super) fn is_name_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.constraint()) == Some("projects_name_key")
}

pub(super) fn name_taken() -> ApiError {
    ApiError::new(Code::Conflict, "A project with this name already exists.").with_hint("Choose another name.")
}

/// Creates a project. Completes or undoes its work even if the caller stops waiting.
pub(super) async fn create_project(state: &ProjectsState, name: String) -> ApiResult<CreatedProject> {
    let state = state.clone();
    tokio::spawn(async move { provision(&state, &name).await })
        .await
        .map_err(ApiError::internal)?
        .map_err(ApiError::from)
}

/// The secrets of a new project. Only sealed or hashed forms of them are stored.
struct NewSecrets {
    publishable_key: String,
    secret_key: String,
    passwords: [(DbRole, Zeroizing<String>); DbRole::OF_EVERY_PROJECT.len()],
}

async fn provision(state: &ProjectsState, name: &str) -> Result<CreatedProject, LifecycleError> {
    let id = new_project_id();
    let mut connection = database::connect_as_platform(&state.database_url, None).await?;
    lock(&mut connection, &id).await?;
    let result = create_all(state, &mut connection, &id, name).await;
    if let Err(error) = &result {
        tracing::warn!(project = id, error = error.to_string(), "could not create a project; removing its parts");
        if let Err(error) = queries::free_name(&mut connection, &id).await {
            tracing::warn!(project = id, %error, "could not free the name of a project that was not created");
        }
        if let Err(error) = remove_all(state, &mut connection, &id, None).await {
            tracing::error!(
                project = id,
                error = error.to_string(),
                "could not remove a partly created project; the next sweep tries again"
            );
        }
    }
    unlock(connection).await;
    result
}

async fn create_all(
    state: &ProjectsState,
    connection: &mut PgConnection,
    id: &str,
    name: &str,
) -> Result<CreatedProject, LifecycleError> {
    let secrets = NewSecrets {
        publishable_key: keys::generate_key(KeyType::Publishable),
        secret_key: keys::generate_key(KeyType::Secret),
        passwords: DbRole::OF_EVERY_PROJECT.map(|role| (role, secrets::random_password())),
    };
    if let Err(error) = insert_rows(state, connection, id, name, &secrets).await {
        if !matches!(&error, LifecycleError::Database(error) if is_name_taken(error)) {
            return Err(error);
        }
        free_name(state, name).await?;
        // Another process may have freed the name in the meantime.
        insert_rows(state, connection, id, name, &secrets).await?;
    }
    for (role, password) in &secrets.passwords {
        database::create_role(connection, id, *role, password).await?;
    }
    database::create_database(connection, id).await?;
    database::prepare_database(&state.database_url, id).await?;
    extensions::apply_to_project(state, id).await?;
    state.store.ensure_bucket(&project_bucket(id)).await?;
    let project = queries::set_state(&mut *connection, id, ProjectState::Ready).await?;
    let project = project.ok_or(sqlx::Error::RowNotFound)?;
    tracing::info!(project = id, "created a project");
    Ok(CreatedProject {
        project: project.to_wire(),
        publishable_key: secrets.publishable_key,
        secret_key: secrets.secret_key,
    })
}

/// Frees a name that belongs to a project whose creation was interrupted, if there is one.
async fn free_name(state: &ProjectsState, name: &str) -> Result<(), LifecycleError> {
    let Some(id) = queries::creating_project(&state.platform, name).await? else { return Ok(()) };
    let mut connection = database::connect_as_platform(&state.database_url, None).await?;
    let freed = match lock(&mut connection, &id).await {
        Ok(()) => queries::free_name(&mut connection, &id).await.map(drop).map_err(LifecycleError::from),
        // A process is creating the project, or is about to free the name.
        Err(LifecycleError::Busy) => Ok(()),
        Err(error) => Err(error),
    };
    unlock(connection).await;
    freed
}

/// Inserts all rows of a new project into the platform database, in one transaction.
async fn insert_rows(
    state: &ProjectsState,
    connection: &mut PgConnection,
    id: &str,
    name: &str,
    secrets: &NewSecrets,
) -> Result<(), LifecycleError> {
    let mut rows = connection.begin().await?;
    queries::insert_project(&mut *rows, id, name).await?;
    for (role, password) in &secrets.passwords {
        let sealed = state.sealer.seal(password.as_bytes(), &credentials::password_identity(id, *role))?;
        queries::insert_credential(&mut *rows, id, *role, &sealed).await?;
    }
    for bucket in FIRST_BUCKETS {
        queries::insert_bucket(&mut *rows, id, bucket, state.max_object_bytes).await?;
    }
    for (key_type, key) in [(KeyType::Publishable, &secrets.publishable_key), (KeyType::Secret, &secrets.secret_key)] {
        keys::insert_key(&mut *rows, &keys::new_key(id, key_type, FIRST_KEY_NAME, key, None)).await?;
    }
    signing_keys::create_signing_key(&mut rows, &state.sealer, id).await?;
    rows.commit().await?;
    Ok(())
}

/// Removes a project's databases, roles, bucket, uploaded archives and rows, as far as they exist. The row of the
/// project is removed last, so that a failure leaves a row that recovery finds. `entry` is written to the audit log in
/// the transaction that removes the row. Backups stay. A sweep removes the files of exports and imports.
pub(super) async fn remove_all(
    state: &ProjectsState,
    connection: &mut PgConnection,
    id: &str,
    entry: Option<&NewAuditEntry>,
) -> Result<(), LifecycleError> {
    state.pools.close(id);
    database::drop_database_and_roles(connection, id).await?;
    state.store.delete_bucket_with_contents(&project_bucket(id)).await?;
    state.store.delete_prefix(PLATFORM_BUCKET, &replacement::restore_uploads_prefix(id)).await?;
    let mut transaction = connection.begin().await?;
    queries::delete_project(&mut transaction, id).await?;
    if let Some(entry) = entry {
        audit::record(&mut *transaction, entry).await?;
    }
    transaction.commit().await?;
    state.projects.forget(id);
    Ok(())
}

/// Takes the project's lock, which is held until [`unlock`] or until Postgres has closed the connection.
///
/// # Errors
/// Returns [`LifecycleError::Busy`] if another connection holds it.
pub(super) async fn lock(connection: &mut PgConnection, id: &str) -> Result<(), LifecycleError> {
    let locked: bool =
        sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended('atlashub project ' || $1, 0))")
            .bind(id)
            .fetch_one(connection)
            .await?;
    if locked { Ok(()) } else { Err(LifecycleError::Busy) }
}

/// Releases the locks that the connection holds, and closes it.
pub(super) async fn unlock(mut connection: PgConnection) {
    // Closing the connection alone does not wait until Postgres has released the lock, so the next request could find
    // the project busy. If the connection is broken, Postgres releases the lock anyway.
    let _ = sqlx::query("SELECT pg_advisory_unlock_all()").execute(&mut connection).await;
    let _ = connection.close().await;
}

/// Returns 16 lowercase letters and digits, the first a letter: safe as part of a database's and a bucket's name.
fn new_project_id() -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
    const LETTERS_AND_DIGITS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = rand::rng();
    (0..16)
        .map(|i| {
            let set = if i == 0 { LETTERS } else { LETTERS_AND_DIGITS };
            set[random.random_range(0..set.len())] as char
        })
        .collect()
}
