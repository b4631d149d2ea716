//! Imports of files into tables.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::text_enum::text_enum;

/// The format of a file to import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ImportFormat {
    /// CSV, as spreadsheets write it.
    Csv,
    /// A JSON array of objects.
    Json,
    /// A JSON object per line.
    Ndjson,
}

text_enum!(ImportFormat {
    Csv => "csv",
    Json => "json",
    Ndjson => "ndjson",
});

/// The way in which rows are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ImportMode {
    /// Every row of the file becomes a new row.
    #[default]
    Insert,
    /// A row of the file replaces the values of the row with the same key, if there is one.
    Upsert,
}

/// The reaction to a row that can't be imported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum OnImportError {
    /// Nothing is imported.
    #[default]
    Abort,
    /// The row is skipped and reported.
    Skip,
}

/// The state of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ImportState {
    /// The file is not in storage yet.
    AwaitingUpload,
    /// The file can be previewed and imported.
    Uploaded,
    /// The run has not ended. `GET /admin/v1/runs/{run}` returns its progress.
    Running,
    /// The rows are in the table, or a dry run has ended.
    Done,
    /// Nothing was imported. `errorText` says why.
    Failed,
    /// The run was cancelled. Nothing was imported.
    Cancelled,
}

/// A file to import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateImport {
    /// Id of the project.
    pub project_id: String,
    /// Name of the table in schema `public`.
    pub table: String,
    /// Format of the file.
    pub format: ImportFormat,
    /// Exact size of the file, in bytes: 1 to 21474836480 (20 GiB).
    pub size_bytes: i64,
    /// Name of the file, for display, up to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
}

/// An import, and the signed URL for the upload of its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportCreated {
    /// The import.
    pub import: Import,
    /// URL to which the file is sent.
    pub upload_url: String,
    /// HTTP method of the upload.
    pub method: String,
    /// Headers of the upload. All of them must be sent unchanged.
    pub headers: BTreeMap<String, String>,
    /// Lifetime of the URL, in seconds.
    pub expires_in: u64,
}

/// A signed URL for the upload of an import's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportUpload {
    /// URL to which the file is sent.
    pub upload_url: String,
    /// HTTP method of the upload.
    pub method: String,
    /// Headers of the upload. All of them must be sent unchanged.
    pub headers: BTreeMap<String, String>,
    /// Lifetime of the URL, in seconds.
    pub expires_in: u64,
}

/// An import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Import {
    /// Id of the import.
    pub id: String,
    /// Id of the project.
    pub project_id: String,
    /// Name of the table.
    pub table: String,
    /// Format of the file.
    pub format: ImportFormat,
    /// Name of the file. Null if it was not given.
    pub file_name: Option<String>,
    /// Size of the file, in bytes.
    pub size_bytes: i64,
    /// State of the import.
    pub state: ImportState,
    /// The last run. Null before the first one.
    pub run_id: Option<String>,
    /// Whether the last run was a dry run, which changes nothing.
    pub dry_run: bool,
    /// Number of rows that were read from the file, without its header.
    pub rows_read: i64,
    /// Number of rows that were inserted, or that a dry run would have inserted.
    pub rows_inserted: i64,
    /// Number of rows that were updated, or that a dry run would have updated. A row of the file that a later row
    /// replaces is counted, too.
    pub rows_updated: i64,
    /// Number of rows that were skipped, because of an error or by a trigger or rule.
    pub rows_skipped: i64,
    /// The first 100 errors, by line.
    pub errors: Vec<ImportError>,
    /// Number of errors that were found. If bad rows are skipped, this includes rows that a trigger or rule discarded.
    pub error_count: i64,
    /// Why the import failed. Null if it did not.
    pub error_text: Option<String>,
    /// When the import was created.
    pub created_at: DateTime<Utc>,
    /// When the import and its file are removed.
    pub expires_at: DateTime<Utc>,
    /// When the last run ended. Null if it has not.
    pub finished_at: Option<DateTime<Utc>>,
}

/// A row that can't be imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportError {
    /// Line of the file on which the row begins, from 1; a header counts.
    pub line: u64,
    /// Column of the table. Null if the error is not about one column.
    pub column: Option<String>,
    /// Kind of the error, for example `invalid_value` or `unique_violation`.
    pub code: String,
    /// Description of the error.
    pub message: String,
    /// The value in the file, cut off after 200 characters. Null if it is not known.
    pub value: Option<String>,
}

/// Options for the preview of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PreviewImport {
    /// CSV: whether the first row contains the names of the fields. Detected if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// CSV: the character between two fields. Detected if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// CSV: the unquoted field that means `NULL` (default: the empty string).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null_text: Option<String>,
}

/// The beginning of a file, and the columns into which its fields would be imported.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportPreview {
    /// Fields of the file.
    pub columns: Vec<PreviewColumn>,
    /// The first 20 rows: a value for each field. For CSV, values are strings or null; for the other formats, any JSON.
    /// Strings are cut off after 200 characters.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Vec<serde_json::Value>>))]
    pub rows: Vec<Vec<Box<RawValue>>>,
    /// The character between two fields. Null unless the file is CSV.
    pub delimiter: Option<String>,
    /// Whether the first row contains the names of the fields. Null unless the file is CSV.
    pub header: Option<bool>,
    /// Problems that may occur in the import.
    pub warnings: Vec<String>,
}

/// A field of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PreviewColumn {
    /// Name of the field. Without a header, `column1` and so on.
    pub source: String,
    /// Column of the table with the same name. For CSV, case and surrounding spaces may differ. Null if there is none,
    /// or if Postgres generates its values.
    pub target: Option<String>,
    /// Data type of the column, as Postgres prints it. Null if `target` is null.
    #[serde(rename = "type")]
    pub data_type: Option<String>,
    /// Up to five values that are not null, each cut off after 200 characters.
    pub samples: Vec<String>,
}

/// Options for the import of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StartImport {
    /// Column for each field to import. Fields that are absent or null are left out. Without `mapping`, fields and
    /// columns are matched by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<BTreeMap<String, Option<String>>>,
    /// How rows are written (default `insert`).
    #[serde(default)]
    pub mode: ImportMode,
    /// Columns of the key of an upsert: those of the primary key (default), or of a unique constraint or index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<Vec<String>>,
    /// What happens if a row can't be imported (default `abort`).
    #[serde(default)]
    pub on_error: OnImportError,
    /// Whether the rows are only checked: everything is undone at the end (default false).
    #[serde(default)]
    pub dry_run: bool,
    /// Whether values are imported into an identity column that is always generated (default false).
    #[serde(default)]
    pub override_identity: bool,
    /// CSV: whether the first row contains the names of the fields. If absent, it counts as true if `mapping` names one
    /// of the first row's values, and no field such as `column1`. Otherwise, the last preview decides; without a
    /// preview, it is detected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// CSV: the character between two fields. If absent, the last preview decides; without a preview, it is detected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// CSV: the unquoted field that means `NULL`. If absent, the last preview decides; without a preview, it is the
    /// empty string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null_text: Option<String>,
}
