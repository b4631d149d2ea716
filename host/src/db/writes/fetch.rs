//! Runs writes on a project's connections.

use std::sync::Arc;

use tokio_postgres::Row;

use super::{Apart, NoResults, UnknownOutcome, Write};
use crate::db::{DbError, DbRole, ProjectPools, Statement};

/// Maximum size of the values of a write that shares a transaction, in bytes. The values of a larger write take longer
/// to send than its commit.
const MAX_PARAM_BYTES: usize = 8 << 10;

/// The rows that a write returns, or its error.
pub(in crate::db) type WrittenRows = Result<Vec<Row>, DbError>;

impl Write for Statement {
    fn text(&self) -> &Arc<str> {
        &self.text
    }
}

impl From<UnknownOutcome> for DbError {
    fn from(error: UnknownOutcome) -> Self {
        Self::Unreachable(error.into())
    }
}

impl ProjectPools {
    /// Like [`Self::fetch`], for an insert, which must be short. Inserts of the same project and role that wait at the
    /// same moment share a transaction, unless the configuration forbids it (`share_inserts`). An insert shares none if
    /// it is heavy, is not cacheable, may run code of the project, or has more than 8 KiB of values.
    ///
    /// # Errors
    /// Returns the errors of [`Self::fetch`]. An error of another statement is never returned.
    pub async fn fetch_insert(&self, project: &str, role: DbRole, statement: &Statement) -> Result<Vec<Row>, DbError> {
        if !self.inner.limits.share_inserts || !can_share(statement) {
            return self.fetch(project, role, statement).await;
        }
        let writes = self.pools_of(project)[role as usize].writes.clone();
        // Boxed, because a shared transaction of others needs none of its space.
        let alone = |apart| {
            Box::pin(async move {
                let result = match apart {
                    Apart::No => self.fetch(project, role, statement).await,
                    Apart::Yes => self.fetch(project, role, &Statement { heavy: true, ..statement.clone() }).await,
                };
                Ok::<_, DbError>(result)
            })
        };
        let together = |statements: Vec<Statement>| {
            let (pools, project) = (self.clone(), project.to_owned());
            async move { pools.fetch_together(&project, role, &statements).await }
        };
        writes.run(statement, alone, together).await?
    }

    async fn fetch_together(
        &self,
        project: &str,
        role: DbRole,
        statements: &[Statement],
    ) -> Result<Vec<WrittenRows>, NoResults> {
        match self.shared_connection(project, role, true).await {
            Ok(connection) => connection.fetch_together(statements).await,
            // Nothing was sent. Each statement then fails alone, or finds a connection.
            Err(_) => Err(NoResults::Undone { failed: None }),
        }
    }
}

fn can_share(statement: &Statement) -> bool {
    let size = || statement.params.iter().flatten().map(|param| param.len()).sum::<usize>();
    !statement.heavy && !statement.runs_project_code && statement.cacheable && size() <= MAX_PARAM_BYTES
}
