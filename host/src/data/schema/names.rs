//! The names that SQL completion offers: schemas with their tables, columns, functions and enums.

use std::sync::{Arc, LazyLock};

use tokio_postgres::Row;

use crate::db::{DbError, DbRole, ProjectPools, Statement};

use super::load::{LoadError, fetch_text};

static VERSION: LazyLock<Arc<str>> = LazyLock::new(|| {
    include_str!("names_version.sql").replace("/*fingerprint*/", concat!("\n", include_str!("fingerprint.sql"))).into()
});

/// Returns a string that changes whenever the result of [`names`] might have changed.
///
/// # Errors
/// Returns the error of the query.
pub async fn names_version(pools: &ProjectPools, project: &str) -> Result<String, LoadError> {
    fetch_text(pools, project, &Statement::of_catalogue(VERSION.clone())).await
}

/// Returns a row whose only column is the JSON of an [`api_types::DatabaseSchema`].
///
/// # Errors
/// Returns the error of the query.
pub async fn names(pools: &ProjectPools, project: &str) -> Result<Vec<Row>, DbError> {
    let statement = Statement { heavy: true, ..Statement::new(include_str!("names.sql")) };
    pools.fetch(project, DbRole::Owner, &statement).await
}
