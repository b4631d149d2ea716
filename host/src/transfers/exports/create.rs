//! Starts exports.

use std::time::Duration;

use api_types::{CreateExport, ExportFormat, ExportSource, ExportStarted};
use chrono::Utc;
use serde_json::json;
use uuid::Uuid;

use super::{
    files::{file_name, object_key},
    queries::{self, NewExport},
    selection::row_selection,
};
use crate::{
    db::{DbRole, Statement},
    error::{ApiError, ApiResult, Code, describe_cause},
    jobs::NewRun,
    transfers::{PLUGIN, TransfersState, invalid_field, with_field},
};

/// Name of the plugin's job.
const JOB: &str = "export";
/// Time limit of a run. This is enough for large databases. The plugin's own limit may be shorter.
const RUN_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
/// Time after which an export is removed.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Selects a row if schema `public` has a table or view of this name.
const TABLE_EXISTS: &str = "SELECT 1 FROM pg_catalog.pg_class c
     JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
     WHERE n.nspname OPERATOR(pg_catalog.=) 'public'
       AND c.relname OPERATOR(pg_catalog.=) $1::pg_catalog.text
       AND c.relkind::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f}'::pg_catalog.text[])";

impl TransfersState {
    /// Checks an export and starts its run.
    pub(super) async fn start_export(&self, request: CreateExport) -> ApiResult<ExportStarted> {
        check_format(&request)?;
        let CreateExport { mut source, format, gzip } = request;
        let project_id = match &source {
            ExportSource::Table { project_id, .. } | ExportSource::Query { project_id, .. } => Some(project_id.clone()),
            ExportSource::Database { project_id } => project_id.clone(),
        };
        let title = match &project_id {
            Some(id) => Some(self.projects.get(id).await?.name.clone()),
            None => None,
        };
        match &mut source {
            ExportSource::Table { project_id, table, .. } => self.check_table(project_id, table).await?,
            ExportSource::Query { project_id, sql } => {
                let checked = self.editor.check_query(project_id, sql).await;
                *sql = checked.map_err(|error| with_field(error, "source.sql"))?;
            }
            ExportSource::Database { .. } => {}
        }
        if let (ExportSource::Table { project_id, table, .. }, Some(selection)) = (&source, row_selection(&source)) {
            self.data.check_export(project_id, table, selection).await?;
        }
        let (id, run_id) = (Uuid::now_v7(), Uuid::now_v7());
        let export = NewExport {
            id,
            project_id: project_id.as_deref(),
            source: &source,
            format,
            gzip,
            object_key: &object_key(id, format, gzip),
            file_name: &file_name(title.as_deref(), &source, format, gzip, Utc::now()),
            run_id,
            lifetime_seconds: LIFETIME.as_secs_f64(),
        };
        queries::insert(&self.platform, &export).await?;
        let run = NewRun {
            plugin: PLUGIN.to_owned(),
            plugin_job: JOB.to_owned(),
            params: json!({ "export": id }),
            project_id: project_id.clone(),
            timeout: RUN_TIMEOUT,
        };
        if let Err(error) = self.jobs.start_run_with_id(run_id, &run).await {
            // If undoing fails too, only the error of the start is returned.
            if let Err(cause) = queries::delete(&self.platform, id).await {
                tracing::warn!(cause = describe_cause(&cause), "the start of an export could not be undone");
            }
            return Err(error);
        }
        Ok(ExportStarted { export_id: id.to_string(), run_id: run_id.to_string() })
    }

    /// Checks that schema `public` has a table or view of this name.
    async fn check_table(&self, project: &str, table: &str) -> ApiResult<()> {
        let mut statement = Statement::of_catalogue(TABLE_EXISTS);
        statement.push(Some(table));
        if self.editor.pools.fetch(project, DbRole::Owner, &statement).await?.is_empty() {
            return Err(ApiError::new(Code::UnknownTable, format!("Unknown table `{table}` in schema `public`."))
                .with_hint("Export a query to get rows of another schema."));
        }
        Ok(())
    }
}

fn check_format(request: &CreateExport) -> ApiResult<()> {
    let is_database = matches!(request.source, ExportSource::Database { .. });
    match (is_database, request.format) {
        (true, ExportFormat::Csv | ExportFormat::Json | ExportFormat::Ndjson) => {
            Err(invalid_field("format", "The `format` of a database must be `sql` or `custom`."))
        }
        (false, ExportFormat::Sql | ExportFormat::Custom) => {
            Err(invalid_field("format", "The `format` of a table or query must be `csv`, `json` or `ndjson`."))
        }
        (true, ExportFormat::Custom) if request.gzip => {
            Err(invalid_field("gzip", "`gzip` does not apply to the format `custom`, which is already compressed."))
        }
        _ => Ok(()),
    }
}
