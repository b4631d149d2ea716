//! Runs lookups on a project's connections.

use std::sync::Arc;

use super::{ShapeName, SharedResults};
use crate::db::{DbError, DbRole, LookupKey, ProjectPools, RowSink, Statement};

impl ProjectPools {
    /// Like [`Self::fetch_into`], for a statement that reads at most one row by a unique key. Lookups with the same
    /// statement and claims that wait at the same moment share a statement, which `shared` renders for their keys. The
    /// last column of its rows must be the position of the key, counted from 1.
    ///
    /// # Errors
    /// Returns the errors of [`Self::fetch_into`]. An error of a shared statement is never returned.
    pub async fn fetch_lookup(
        &self,
        project: &str,
        role: DbRole,
        claims: Option<&str>,
        statement: &Statement,
        shared: &(dyn Fn(&[LookupKey]) -> Statement + Sync),
        rows: &mut dyn RowSink,
    ) -> Result<(), DbError> {
        let lookups = self.pools_of(project)[role as usize].lookups.clone();
        let alone = || async {
            let mut rows = Vec::new();
            self.fetch_into(project, role, claims, statement, &mut rows).await?;
            Ok::<_, DbError>(rows.pop())
        };
        let together = |keys: Vec<LookupKey>| async move {
            let mut results = SharedResults::new(keys.len());
            self.fetch_into(project, role, claims, &shared(&keys), &mut results).await?;
            Ok(results.into_rows())
        };
        let shape = ShapeName { text: statement.text.clone(), claims: claims.map(Arc::from) };
        match lookups.run(&shape, statement.params.clone(), alone, together).await? {
            Some(row) => rows.add(row),
            None => Ok(()),
        }
    }
}
