use serde::{Deserialize, Serialize};

/// One statement for a project's database, run as its owner.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunSql {
    pub sql: String,
    /// Runs in a read-only transaction.
    #[serde(default)]
    pub read_only: bool,
    /// 1 to 5000; 1000 unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rows: Option<u32>,
    /// Answers the plan (`EXPLAIN (FORMAT JSON)`) instead of running the statement.
    #[serde(default)]
    pub explain: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SqlResult {
    pub columns: Vec<SqlColumn>,
    /// Each value as JSON: numbers that fit a double exactly and booleans as such, JSON as JSON, everything
    /// else as the text Postgres prints; null is null.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Vec<Object>>))]
    pub rows: Vec<Vec<serde_json::Value>>,
    /// Rows returned, or rows changed where the statement returns none.
    pub row_count: u64,
    /// There were more rows than `maxRows` or the answer's size allows.
    pub truncated: bool,
    pub duration_ms: f64,
    pub notices: Vec<SqlNotice>,
    /// For example `SELECT`, `INSERT`, `CREATE TABLE`.
    pub command: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SqlColumn {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SqlNotice {
    /// `NOTICE`, `WARNING`, …
    pub severity: String,
    pub message: String,
}
