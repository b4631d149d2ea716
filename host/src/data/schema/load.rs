//! Queries Postgres's catalogue for the schema.

use std::sync::{Arc, LazyLock};

use anyhow::Context;

use crate::db::{DbError, DbRole, ProjectPools, Statement};

use super::{Schema, catalogue::from_catalogue_json};

static FINGERPRINT: LazyLock<Arc<str>> = LazyLock::new(|| concat!("SELECT\n", include_str!("fingerprint.sql")).into());
static LOAD: LazyLock<Arc<str>> = LazyLock::new(|| {
    include_str!("load.sql")
        .replace("/*fingerprint*/", concat!("\n", include_str!("fingerprint.sql")))
        .replace("/*project_code*/", concat!("\n", include_str!("project_code.sql")))
        .into()
});

/// Returns a string that changes whenever a [`Schema`] of the project might have changed.
pub(super) async fn fingerprint(pools: &ProjectPools, project: &str) -> Result<String, LoadError> {
    fetch_text(pools, project, &Statement::of_catalogue(FINGERPRINT.clone())).await
}

/// Loads the schema as `role` sees it, over the connections of the app role.
pub(super) async fn load(pools: &ProjectPools, project: &str, role: DbRole) -> Result<Schema, LoadError> {
    let mut statement = Statement::of_catalogue(LOAD.clone());
    statement.push(Some(role.name(project)));
    let json = fetch_text(pools, project, &statement).await?;
    Ok(Schema { is_of_user: role == DbRole::User, ..from_catalogue_json(&json)? })
}

pub(super) async fn fetch_text(
    pools: &ProjectPools,
    project: &str,
    statement: &Statement,
) -> Result<String, LoadError> {
    let rows = pools.fetch(project, DbRole::App, statement).await?;
    let row = rows.first().context("the catalogue query returned no row")?;
    Ok(row.try_get::<_, String>(0).context("the catalogue query did not return text")?)
}

/// The reason why a schema could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Db(#[from] DbError),
    /// The catalogue contains something that this version does not know.
    #[error(transparent)]
    Unreadable(#[from] anyhow::Error),
}

impl From<LoadError> for crate::error::ApiError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Db(error) => error.into(),
            LoadError::Unreadable(cause) => Self::internal(cause.context("loading the project's schema")),
        }
    }
}
