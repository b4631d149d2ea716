//! The SQL editor.

use serde::{Deserialize, Serialize};

/// A statement to run in a project's database, as its owner.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunSql {
    /// The statement.
    pub sql: String,
    /// Whether to run it in a read-only transaction (default false).
    #[serde(default)]
    pub read_only: bool,
    /// Maximum number of rows to return, 1 to 5000 (default 1000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rows: Option<u32>,
    /// Whether to return the plan (`EXPLAIN (FORMAT JSON)`) instead of running the statement (default false).
    #[serde(default)]
    pub explain: bool,
}

/// The result of a statement.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SqlResult {
    /// Columns of the result.
    pub columns: Vec<SqlColumn>,
    /// Rows of the result. Numbers that a double represents exactly, booleans and JSON values are returned as JSON.
    /// Other values are returned as Postgres prints them. `NULL` is null.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Vec<Object>>))]
    pub rows: Vec<Vec<serde_json::Value>>,
    /// Number of rows returned, or number of rows changed if the statement returns none.
    pub row_count: u64,
    /// Whether there were more rows than `maxRows` or the maximum size of the response allows.
    pub truncated: bool,
    /// Duration of the statement, in milliseconds.
    pub duration_ms: f64,
    /// Notices that Postgres sent.
    pub notices: Vec<SqlNotice>,
    /// The command, for example `SELECT`, `INSERT` or `CREATE TABLE`.
    pub command: String,
}

/// A column of a result.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SqlColumn {
    /// Name of the column.
    pub name: String,
    /// Data type of the column, as Postgres prints it.
    #[serde(rename = "type")]
    pub data_type: String,
}

/// A notice from Postgres.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SqlNotice {
    /// Severity, for example `NOTICE` or `WARNING`.
    pub severity: String,
    /// The text.
    pub message: String,
}
