//! Fourth stage: runs statements on the project's database.

use tokio_postgres::Row;

use super::project_errors::Audience;
use crate::{
    db::{DbError, DbRole, LookupKey, ProjectPools, RowSink, Statement},
    http::Recipient,
};

/// The project and role that a statement runs as.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    pub project: &'a str,
    pub role: DbRole,
    /// A signed-in user's claims as JSON.
    pub claims: Option<&'a str>,
    /// The receiver of the response.
    pub recipient: Recipient<'a>,
}

impl Identity<'_> {
    /// Returns the audience of the errors of this identity's statements.
    pub(super) fn audience(&self) -> Audience {
        match (self.role, self.claims) {
            (DbRole::App, None) => Audience::Owner,
            _ => Audience::Public,
        }
    }
}

/// Runs statements as one identity.
#[derive(Clone, Copy)]
pub struct Executor<'a> {
    pub pools: &'a ProjectPools,
    pub identity: Identity<'a>,
}

impl Executor<'_> {
    /// Runs a statement and returns its rows. With claims, it runs in a transaction that sets them.
    ///
    /// # Errors
    /// Returns the error of [`ProjectPools::fetch_into`].
    pub async fn fetch(&self, statement: &Statement) -> Result<Vec<Row>, DbError> {
        let mut rows = Vec::new();
        self.fetch_into(statement, &mut rows).await?;
        Ok(rows)
    }

    /// Like [`Self::fetch`], for an insert without `ON CONFLICT`. Without claims, it can share a transaction with
    /// others.
    ///
    /// # Errors
    /// Returns the error of [`ProjectPools::fetch_insert`].
    pub async fn fetch_insert(&self, statement: &Statement) -> Result<Vec<Row>, DbError> {
        let Identity { project, role, claims, .. } = self.identity;
        match claims {
            None => self.pools.fetch_insert(project, role, statement).await,
            Some(_) => self.fetch(statement).await,
        }
    }

    /// Like [`Self::fetch`], but passes each row on as it arrives.
    ///
    /// # Errors
    /// Returns the error of [`ProjectPools::fetch_into`].
    pub async fn fetch_into(&self, statement: &Statement, rows: &mut dyn RowSink) -> Result<(), DbError> {
        let Identity { project, role, claims, .. } = self.identity;
        self.pools.fetch_into(project, role, claims, statement, rows).await
    }

    /// Like [`Self::fetch_into`], for a lookup that can share a statement. `shared` builds one statement for several
    /// keys.
    ///
    /// # Errors
    /// Returns the error of [`ProjectPools::fetch_lookup`].
    pub async fn fetch_lookup(
        &self,
        statement: &Statement,
        shared: &(dyn Fn(&[LookupKey]) -> Statement + Sync),
        rows: &mut dyn RowSink,
    ) -> Result<(), DbError> {
        let Identity { project, role, claims, .. } = self.identity;
        // Code of the project and heavy work run on a connection of their own, and a statement for several callers
        // would occupy it for longer.
        if statement.runs_project_code || statement.heavy {
            return self.fetch_into(statement, rows).await;
        }
        self.pools.fetch_lookup(project, role, claims, statement, shared, rows).await
    }
}
