//! Exports of tables, queries and databases.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

/// The source of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ExportSource {
    /// Rows of a table, view, materialized view or foreign table of schema `public`. Without `filter`, `order` and
    /// `select`, all rows and columns. Policies hide no rows of a table. A view without `security_invoker` applies the
    /// policies for its owner.
    #[serde(rename_all = "camelCase")]
    Table {
        /// Id of the project.
        project_id: String,
        /// Name of the table.
        table: String,
        /// Filters, written as in the query string of `GET /v1/db/{table}`, for example
        /// `gte.price=10&ilike.title=%25hand%25`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filter: Option<String>,
        /// Order of the rows, as the parameter `order` of `GET /v1/db/{table}`, for example `price.desc,id`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<String>,
        /// Columns, as the parameter `select` of `GET /v1/db/{table}`, for example `id,label:title`. Tables can't be
        /// embedded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        select: Option<String>,
    },
    /// The rows that a query returns. It runs as the project's owner, in a read-only transaction.
    #[serde(rename_all = "camelCase")]
    Query {
        /// Id of the project.
        project_id: String,
        /// The query: one statement that returns rows.
        sql: String,
    },
    /// A whole database.
    #[serde(rename_all = "camelCase")]
    Database {
        /// Id of the project. Null for the platform database.
        #[serde(default)]
        project_id: Option<String>,
    },
}

/// The format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ExportFormat {
    /// Tables and queries: CSV (RFC 4180, but lines end in LF) with a header. `NULL` is an empty field, an empty string
    /// is `""`.
    Csv,
    /// Tables and queries: a JSON array of objects.
    Json,
    /// Tables and queries: a JSON object per line.
    Ndjson,
    /// Databases: an SQL script for `psql`.
    Sql,
    /// Databases: an archive for `pg_restore`, which is already compressed.
    Custom,
}

text_enum!(ExportFormat {
    Csv => "csv",
    Json => "json",
    Ndjson => "ndjson",
    Sql => "sql",
    Custom => "custom",
});

/// An export to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateExport {
    /// What to export.
    pub source: ExportSource,
    /// Format of the file.
    pub format: ExportFormat,
    /// Whether the file is compressed with gzip (default false). Not for `custom`.
    #[serde(default)]
    pub gzip: bool,
}

/// An export that was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExportStarted {
    /// Id of the export.
    pub export_id: String,
    /// Id of the run that makes the file.
    pub run_id: String,
}

/// The state of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ExportState {
    /// The run has not ended. `GET /admin/v1/runs/{run}` returns its progress.
    Running,
    /// The file can be downloaded.
    Ready,
    /// The run failed. `errorText` says why.
    Failed,
    /// The run was cancelled.
    Cancelled,
}

/// An export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Export {
    /// Id of the export.
    pub id: String,
    /// State of the export.
    pub state: ExportState,
    /// What is exported.
    pub source: ExportSource,
    /// Format of the file.
    pub format: ExportFormat,
    /// Whether the file is compressed with gzip.
    pub gzip: bool,
    /// Name under which browsers save the file.
    pub file_name: String,
    /// Size of the file, in bytes. 0 until it is ready.
    pub size_bytes: i64,
    /// Number of rows in the file; for a database, the rows of all its tables. Null until it is ready.
    pub row_count: Option<i64>,
    /// SHA-256 of the file, as 64 hexadecimal digits. Null until it is ready.
    pub sha256: Option<String>,
    /// The run that makes the file.
    pub run_id: String,
    /// When the export was started.
    pub created_at: DateTime<Utc>,
    /// When the export and its file are removed.
    pub expires_at: DateTime<Utc>,
    /// Why the export failed. Null if it did not.
    pub error_text: Option<String>,
}

/// A signed URL of an export's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExportDownload {
    /// URL from which anyone can download the file until the URL expires.
    pub download_url: String,
    /// Lifetime of the URL, in seconds. The download must start within it.
    pub expires_in: u64,
}
