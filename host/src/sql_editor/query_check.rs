//! Checks a query whose rows are exported.

use std::time::Duration;

use super::{
    SqlEditorState,
    check::{ScriptOptions, check_text, checked_script},
    errors::Failure,
    restrictions::Permissions,
    statement::FetchMode,
};
use crate::{
    db::DbRole,
    error::{ApiError, ApiResult, Code},
};

impl SqlEditorState {
    /// Checks whether the SQL is a single query that returns rows, and whether Postgres accepts it. Returns the query
    /// without comments and semicolons around it.
    ///
    /// # Errors
    /// Returns `sql_refused` if the SQL is not one query that returns rows, or if it contains parameters. Also returns
    /// the errors of [`Self::check_script`] and of opening a connection, and the error of Postgres if it rejects the
    /// query.
    pub async fn check_query(&self, project: &str, sql: &str) -> ApiResult<String> {
        check_text(sql)?;
        let permissions = Permissions { create_extension: self.allow_create_extension };
        let options = ScriptOptions { read_only: true, transaction: None, max_rows: 0 };
        let script = checked_script(sql.to_owned(), options, permissions).await?;
        let refused = |message: &'static str| {
            ApiError::new(Code::SqlRefused, message)
                .with_hint("Send one SELECT, VALUES or TABLE statement. To run others, use the SQL editor.")
        };
        let [query] = script.statements.as_slice() else {
            return Err(refused("Only one statement can be exported."));
        };
        if query.statement.fetch_mode != FetchMode::Cursor {
            return Err(refused("Only a query that returns rows and changes nothing can be exported."));
        }
        let text = script.sql.get(query.bytes.clone()).unwrap_or_default();
        let client = self.pools.exclusive(project, DbRole::Owner).await?;
        let to_api_error =
            |failure: Failure| failure.into_api_error(&script.sql, query.characters.start, Duration::ZERO);
        let prepared = client.prepare_submitted(text).await;
        let prepared = prepared.map_err(|error| to_api_error(Failure::preparing(error, "")))?;
        if !prepared.params().is_empty() {
            return Err(to_api_error(Failure::Parameters));
        }
        if prepared.columns().is_empty() {
            return Err(refused("The query has no columns."));
        }
        Ok(text.to_owned())
    }
}
