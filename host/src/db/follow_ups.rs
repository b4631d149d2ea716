//! Runs a statement, and statements that follow from its result, in one transaction.

use tokio_postgres::{Client, Row, types::ToSql};

use super::{DbError, DbRole, ProjectPools, Statement, TextParam, failure::as_unreachable};
use crate::error::ApiResult;

/// A function that returns the statements to run after another one. Receives the first row that the other one returned.
pub type FollowUps<'a> = &'a (dyn Fn(&Row) -> ApiResult<Vec<Statement>> + Send + Sync);

impl ProjectPools {
    /// Runs a statement and, if it returns rows, the statements that follow from the first one. All of them take
    /// effect, or none. The follow-ups see what other requests committed while the statement waited for their locks.
    ///
    /// Opens a connection, so it is for rare requests. If the caller stops waiting, the transaction is rolled back,
    /// unless its `COMMIT` was already sent.
    ///
    /// # Errors
    /// Returns the errors of [`Self::exclusive`], of the statements and of `follow_ups`.
    pub async fn fetch_with_follow_ups(
        &self,
        project: &str,
        role: DbRole,
        statement: &Statement,
        follow_ups: FollowUps<'_>,
    ) -> Result<Vec<Row>, DbError> {
        let mut client = self.exclusive(project, role).await?;
        client.mark_busy();
        let result = run_all(&client, statement, follow_ups).await;
        client.mark_idle();
        as_unreachable(result)
    }
}

async fn run_all(client: &Client, statement: &Statement, follow_ups: FollowUps<'_>) -> Result<Vec<Row>, DbError> {
    client.batch_execute("BEGIN").await?;
    let rows = run(client, statement).await?;
    let following = rows.first().map(follow_ups).transpose().map_err(DbError::Refused)?;
    for statement in following.unwrap_or_default() {
        run(client, &statement).await?;
    }
    client.batch_execute("COMMIT").await?;
    Ok(rows)
}

async fn run(client: &Client, statement: &Statement) -> Result<Vec<Row>, DbError> {
    let values: Vec<_> = statement.params.iter().map(|param| TextParam(param.as_deref())).collect();
    let params: Vec<_> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
    Ok(client.query(&*statement.text, &params).await?)
}
