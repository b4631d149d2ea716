//! The requests of the page.

use api_types::{
    Backup, CreateBackup, CreateSavedQuery, DatabaseSchema, Explain, Page, ParseSql, ParsedSql, Run, RunSql,
    RunStarted, SavedQuery, SqlCancelled, SqlColumn, SqlHistoryEntry, SqlNotice, TableDetail, TableSummary,
    UpdateSavedQuery,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::offsets;
use crate::{
    address,
    remote::{self, Failure, Method},
};

/// Number of history entries that the page reads.
const HISTORY_ENTRIES: u32 = 200;

/// The result of a statement, like `api_types::SqlResult`, with values as raw JSON so that no digit is lost.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawResult {
    pub(super) columns: Vec<SqlColumn>,
    pub(super) rows: Vec<Vec<Box<RawValue>>>,
    pub(super) row_count: u64,
    pub(super) truncated: bool,
    pub(super) duration_ms: f64,
    pub(super) notices: Vec<SqlNotice>,
    pub(super) command: String,
    #[serde(default)]
    pub(super) rolled_back: bool,
    /// The start of the statement in its script, in characters. Absent if the request was not a script.
    #[serde(default)]
    start: Option<u32>,
    #[serde(default)]
    end: Option<u32>,
}

impl RawResult {
    /// Returns the statement's part of the script.
    pub(super) fn text_in<'t>(&self, script: &'t str) -> &'t str {
        let at = |characters: Option<u32>| offsets::from_characters(script, characters.unwrap_or_default() as usize);
        script.get(at(self.start)..at(self.end)).unwrap_or_default()
    }
}

/// The result of a script, like `api_types::ScriptResult`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawScript {
    pub(super) results: Vec<RawResult>,
    pub(super) failure: Option<api_types::ScriptFailure>,
    pub(super) committed: bool,
    pub(super) committed_statements: u32,
    pub(super) duration_ms: f64,
}

pub(super) async fn parse(project: &str, sql: &str) -> Result<ParsedSql, Failure> {
    remote::send(Method::Post, &format!("/projects/{project}/sql/parse"), &ParseSql { sql: sql.to_owned() }).await
}

pub(super) async fn run_statement(project: &str, request: &RunSql) -> Result<RawResult, Failure> {
    remote::send(Method::Post, &format!("/projects/{project}/sql"), request).await
}

pub(super) async fn run_script(project: &str, request: &RunSql) -> Result<RawScript, Failure> {
    remote::send(Method::Post, &format!("/projects/{project}/sql"), request).await
}

/// Starts SQL as a background run, which may take longer than a request.
pub(super) async fn run_in_background(project: &str, request: &RunSql) -> Result<RunStarted, Failure> {
    let body = serde_json::json!({
        "sql": request.sql, "readOnly": request.read_only, "transaction": request.transaction.unwrap_or(true),
    });
    remote::send(Method::Post, &format!("/projects/{project}/sql/runs"), &body).await
}

pub(super) async fn cancel(project: &str, query_id: &str) -> Result<SqlCancelled, Failure> {
    remote::send(Method::Post, &format!("/projects/{project}/sql/{query_id}/cancel"), &serde_json::json!({})).await
}

pub(super) async fn run_state(run_id: &str) -> Result<Run, Failure> {
    remote::get(&format!("/runs/{run_id}")).await
}

pub(super) async fn cancel_run(run_id: &str) -> Result<serde_json::Value, Failure> {
    remote::send(Method::Post, &format!("/runs/{run_id}/cancel"), &serde_json::json!({})).await
}

pub(super) async fn schema(project: &str) -> Result<DatabaseSchema, Failure> {
    remote::get(&format!("/projects/{project}/schema")).await
}

pub(super) async fn saved_queries(project: &str) -> Result<Vec<SavedQuery>, Failure> {
    let mut queries = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let path = format!("/projects/{project}/queries");
        let path = address::with_parameters(&path, &[("limit", Some("200")), ("cursor", cursor.as_deref())]);
        let page: Page<SavedQuery> = remote::get(&path).await?;
        queries.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(queries);
        }
    }
}

pub(super) async fn create_query(project: &str, name: &str, sql: &str) -> Result<SavedQuery, Failure> {
    let body = CreateSavedQuery { name: name.to_owned(), sql: sql.to_owned() };
    remote::send(Method::Post, &format!("/projects/{project}/queries"), &body).await
}

/// Changes a saved query. Fails if its version is not `version`.
pub(super) async fn update_query(
    project: &str,
    id: &str,
    version: i64,
    change: &UpdateSavedQuery,
) -> Result<SavedQuery, Failure> {
    let path = format!("/projects/{project}/queries/{id}");
    remote::send_if_match(Method::Patch, &path, &format!("\"{version}\""), change).await
}

pub(super) async fn delete_query(project: &str, id: &str) -> Result<(), Failure> {
    remote::delete(&format!("/projects/{project}/queries/{id}")).await
}

pub(super) async fn history(project: &str) -> Result<Vec<SqlHistoryEntry>, Failure> {
    let path = format!("/projects/{project}/queries/history?limit={HISTORY_ENTRIES}");
    remote::get::<Page<SqlHistoryEntry>>(&path).await.map(|page| page.items)
}

/// Reads the sizes of the tables whose names contain `name`.
pub(super) async fn table_summaries(project: &str, name: &str) -> Result<Vec<TableSummary>, Failure> {
    let path = format!("/projects/{project}/tables");
    let path =
        address::with_parameters(&path, &[("fields", Some("summary")), ("q", Some(name)), ("limit", Some("1000"))]);
    remote::get::<Page<TableSummary>>(&path).await.map(|page| page.items)
}

/// Reads the columns and keys of a table of `public`.
pub(super) async fn table_detail(project: &str, name: &str) -> Result<TableDetail, Failure> {
    let path = format!("/projects/{project}/table");
    remote::get(&address::with_parameters(&path, &[("name", Some(name))])).await
}

/// Returns the project's last backup that exists and has not failed its verification. Searches its newest 200 backups.
pub(super) async fn last_good_backup(project: &str) -> Result<Option<Backup>, Failure> {
    let target = format!("project:{project}");
    let parameters = [("limit", Some("200")), ("target", Some(target.as_str()))];
    let path = address::with_parameters("/backups", &parameters);
    let page: Page<Backup> = remote::get(&path).await?;
    let is_good =
        |backup: &Backup| matches!(backup.state, api_types::BackupState::Ready | api_types::BackupState::Verified);
    Ok(page.items.into_iter().filter(is_good).max_by_key(|backup| backup.created_at))
}

pub(super) async fn back_up(project: &str) -> Result<RunStarted, Failure> {
    remote::send(Method::Post, "/backups", &CreateBackup { target: format!("project:{project}"), objects: false }).await
}

/// Returns a request that runs SQL, with the page's defaults.
pub(super) fn request(sql: String, query_id: String) -> RunSql {
    RunSql {
        sql,
        read_only: false,
        max_rows: None,
        explain: Explain::No,
        timeout_ms: None,
        script: false,
        transaction: None,
        query_id: Some(query_id),
    }
}
