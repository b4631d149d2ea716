//! The SQL editor.

use serde::{Deserialize, Serialize};

/// SQL to run in a project's database as its owner: one statement, or several with `script`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunSql {
    /// The statement or script.
    pub sql: String,
    /// Whether to run the SQL in a read-only transaction (default false).
    #[serde(default)]
    pub read_only: bool,
    /// Maximum number of rows to return, 1 to 5000 (the default). In a script, of each statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rows: Option<u32>,
    /// Whether to return the plan instead of the statement's result (default `false`). `true` stands for `plan`. Can't
    /// be combined with `script`.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = ExplainValue))]
    pub explain: Explain,
    /// Time limit in milliseconds, 1 to 60000 (default 5000). In a script, of all statements together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Whether `sql` may contain several statements (default false). They run one after the other until one fails. The
    /// response is a `ScriptResult`.
    #[serde(default)]
    pub script: bool,
    /// Whether a script runs in one transaction, so that it changes everything or nothing (default true). Otherwise
    /// each statement is committed before the next one runs. Only allowed with `script`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<bool>,
    /// Id for cancelling this run, chosen by the client: 1 to 64 letters, digits, `-` and `_`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_id: Option<String>,
}

/// Whether to return the plan of a statement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ExplainValue", into = "ExplainValue")]
pub enum Explain {
    /// Run the statement and return its result.
    #[default]
    No,
    /// `EXPLAIN (FORMAT JSON, SETTINGS)`: the plan. The statement is not executed.
    Plan,
    /// `EXPLAIN (ANALYZE, BUFFERS, SETTINGS, FORMAT JSON)`: the plan with what was measured. The statement runs in a
    /// transaction that is rolled back.
    Analyze,
}

/// The value of `explain`: a boolean, or the kind of plan.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(untagged, expecting = "`explain` must be true, false, \"plan\" or \"analyze\"")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ExplainValue {
    /// `true` stands for `plan`.
    Flag(bool),
    /// The kind of plan.
    Kind(ExplainKind),
}

/// Kind of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ExplainKind {
    /// The plan. The statement is not executed.
    Plan,
    /// The plan with what was measured.
    Analyze,
}

impl From<ExplainValue> for Explain {
    fn from(value: ExplainValue) -> Self {
        match value {
            ExplainValue::Flag(false) => Self::No,
            ExplainValue::Flag(true) | ExplainValue::Kind(ExplainKind::Plan) => Self::Plan,
            ExplainValue::Kind(ExplainKind::Analyze) => Self::Analyze,
        }
    }
}

impl From<Explain> for ExplainValue {
    fn from(explain: Explain) -> Self {
        match explain {
            Explain::No => Self::Flag(false),
            Explain::Plan => Self::Kind(ExplainKind::Plan),
            Explain::Analyze => Self::Kind(ExplainKind::Analyze),
        }
    }
}

/// The response of `POST /admin/v1/projects/{project}/sql`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SqlOutcome {
    /// The result with `script`.
    Script(ScriptResult),
    /// The result without `script`.
    Statement(SqlResult),
}

/// The result of a script, which stops at the first statement that fails.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScriptResult {
    /// Results of the statements that were carried out, in their order.
    pub results: Vec<StatementResult>,
    /// Number of statements in the script.
    pub statement_count: u32,
    /// The failure. Null if every statement was carried out and committed.
    pub failure: Option<ScriptFailure>,
    /// Whether anything is known to be committed. After a failure in one transaction, nothing was, unless the
    /// connection was lost or the run ended while Postgres was committing.
    pub committed: bool,
    /// Number of statements, from the first one, whose changes were committed.
    pub committed_statements: u32,
    /// Duration of the script, in milliseconds.
    pub duration_ms: f64,
}

/// The result of a statement of a script.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatementResult {
    /// The result.
    #[serde(flatten)]
    pub result: SqlResult,
    /// Position of the statement's first character in the script, from 0, in characters.
    pub start: u32,
    /// Position after the statement's last character.
    pub end: u32,
}

/// The failure that stopped a script.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScriptFailure {
    /// Index of the statement that failed, from 0. Null if the commit failed.
    pub statement: Option<u32>,
    /// Error code, as in `ErrorBody`: `sql_error`, `timeout`, `cancelled`, ….
    pub code: String,
    /// The message.
    pub message: String,
    /// Suggested solution. Null if there is nothing to suggest.
    pub hint: Option<String>,
    /// Details, as in `ErrorBody`. Positions and lines count from the start of the script.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub details: Option<serde_json::Value>,
}

/// The response to a request that cancels a run.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SqlCancelled {
    /// Always true: a run with this id was found, and its cancellation was requested.
    pub cancelled: bool,
}

/// The result of a statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SqlResult {
    /// Columns of the result.
    pub columns: Vec<SqlColumn>,
    /// Rows of the result. Booleans, and numbers that a double represents exactly, are returned as JSON, and so are
    /// values of `json` and `jsonb`, with all digits of their numbers. Other values, and documents nested more than 120
    /// levels deep, are strings with the text that Postgres prints. `NULL` is null.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// For a query, the number of returned rows. For a change, the number of changed rows, including those that `rows`
    /// leaves out because of `maxRows`.
    pub row_count: u64,
    /// Whether there were more rows than `maxRows` or the maximum size of the response allows.
    pub truncated: bool,
    /// Duration of the statement, in milliseconds.
    pub duration_ms: f64,
    /// Notices that Postgres sent.
    pub notices: Vec<SqlNotice>,
    /// The command, for example `SELECT`, `INSERT` or `CREATE TABLE`.
    pub command: String,
    /// Whether the statement's changes were undone, because `explain` was `analyze`.
    #[serde(default)]
    pub rolled_back: bool,
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SqlNotice {
    /// Severity, for example `NOTICE` or `WARNING`.
    pub severity: String,
    /// The text.
    pub message: String,
}

/// A script to run in the background.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StartSqlRun {
    /// The script: one or several statements.
    pub sql: String,
    /// Whether to run the SQL in a read-only transaction (default false).
    #[serde(default)]
    pub read_only: bool,
    /// Whether several statements run in one transaction, so that they change everything or nothing (default true).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<bool>,
    /// Time limit in milliseconds, 1 to 86400000 (default 3600000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}
