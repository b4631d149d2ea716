//! Selects the rows of an export (`transfers`) with the filters, order and columns of a request for rows.
//!
//! The texts of a selection are parsed, planned and rendered like those of a request, with the schema that the owner's
//! requests see. The slice `transfers` runs the query with `COPY`, which has no parameters. So the values are settings
//! of the session that the query reads; they are never part of its text.

use std::sync::Arc;

use crate::{
    db::{DbRole, Statement},
    error::ApiResult,
    http::Recipient,
};

use super::{
    DataService, Identity,
    pipeline::{Attempt, Failure, fetch},
    plan::plan_export,
    render::{VALUE_SETTINGS, render_export, render_export_check},
    request::{ExportField, ExportRequest, RowSelection},
    schema::Schema,
};

/// The query of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportQuery {
    /// SQL without parameters and without a semicolon.
    pub sql: Arc<str>,
    /// Names and values of the settings that the session must have.
    pub settings: Vec<(String, Arc<str>)>,
}

impl From<Statement> for ExportQuery {
    fn from(statement: Statement) -> Self {
        // The filters of a request never compare with NULL, so every value is present.
        let values = statement.params.into_iter().enumerate();
        let settings = values.filter_map(|(index, value)| Some((format!("{VALUE_SETTINGS}{}", index + 1), value?)));
        Self { settings: settings.collect(), sql: statement.text }
    }
}

impl DataService {
    /// Checks the selection of an export: its syntax, its names, and the values of its filter.
    ///
    /// # Errors
    /// Returns `invalid_value` for a value that the column's type rejects. Also returns the errors of
    /// [`ExportRequest::parse`] and [`plan_export`]. The detail `field` names the text with the problem.
    pub async fn check_export(&self, project: &str, table: &str, selection: RowSelection<'_>) -> ApiResult<()> {
        let request = &ExportRequest::parse(selection)?;
        let identity = owner_of(project);
        let attempt = |schema| async move { check(&self.attempt(identity, table, schema), request).await };
        self.run_with_schema_retry(identity, attempt).await
    }

    /// Returns the query of an export.
    ///
    /// # Errors
    /// Returns the errors of [`ExportRequest::parse`] and [`plan_export`].
    pub async fn export_query(
        &self,
        project: &str,
        table: &str,
        selection: RowSelection<'_>,
    ) -> ApiResult<ExportQuery> {
        let request = &ExportRequest::parse(selection)?;
        let attempt = |schema: Arc<Schema>| async move {
            let plan = plan_export(&schema, table, request)?;
            Ok::<_, Failure>(ExportQuery::from(render_export(&plan).statement))
        };
        self.run_with_schema_retry(owner_of(project), attempt).await
    }
}

/// The identity of the owner's requests for rows.
fn owner_of(project: &str) -> Identity<'_> {
    Identity { project, role: DbRole::App, claims: None, recipient: Recipient::Owner }
}

async fn check(attempt: &Attempt<'_>, request: &ExportRequest) -> Result<(), Failure> {
    let plan = plan_export(&attempt.schema, attempt.table, request)?;
    // Only the filter contains values, so an error of the client is about the filter.
    match fetch(attempt, &render_export_check(&plan)).await {
        Err(Failure { error, refresh }) if error.status().is_client_error() => {
            Err(Failure { error: ExportField::Filter.of(error), refresh })
        }
        checked => checked.map(drop),
    }
}
