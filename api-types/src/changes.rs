//! Changes to rows in one transaction.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ReferenceAction;

/// Changes to rows of one table, made in one transaction: all or none.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangeRows {
    /// The changes, 1 to 1000, made in this order.
    pub changes: Vec<RowChange>,
    /// Whether to make the changes, count their effects, and undo them (default false).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// One change of one row.
///
/// Values have the same form as in `/v1/db`: a string is converted to the column's type, and numbers keep every digit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RowChange {
    /// What to do.
    pub op: ChangeOperation,
    /// For an update or delete: the columns of a unique key, which identify the row. Absent for an insert.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub key: Map<String, Value>,
    /// For an insert or update: the new values. An insert may leave out columns, which then get their default.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub set: Map<String, Value>,
    /// For an update or delete: values that the row must still have, as they were read. If the row has other values or
    /// no longer exists, the whole request changes nothing and returns 409 `row_changed`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub was: Map<String, Value>,
}

/// The kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ChangeOperation {
    /// Inserts a row.
    Insert,
    /// Changes a row.
    Update,
    /// Deletes a row.
    Delete,
}

/// The results of the changes. With `dryRun`, the results that they would have had.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangedRows {
    /// Whether the changes were undone after counting their effects.
    pub dry_run: bool,
    /// The results, in the order of the changes.
    pub results: Vec<ChangeResult>,
    /// How many rows changed in each table, including changes by foreign keys and triggers. The table of the request
    /// comes first. Rows of a partitioned table are counted in its partitions, and those of a view in its tables.
    pub effects: Vec<ChangeEffect>,
}

/// The result of one change.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangeResult {
    /// What was done.
    pub op: ChangeOperation,
    /// Primary key of the row: after an insert or update its new values, after a delete its last ones. Null if the
    /// table has no primary key, or if a trigger skipped the insert.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub key: Option<Map<String, Value>>,
}

/// Number of rows of a table that were changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangeEffect {
    /// Schema of the table.
    pub schema: String,
    /// Name of the table.
    pub table: String,
    /// Number of inserted rows.
    pub inserted: i64,
    /// Number of updated rows.
    pub updated: i64,
    /// Number of deleted rows.
    pub deleted: i64,
    /// What a foreign key of this table does when a row that it refers to is deleted. Null unless the key refers to
    /// another table in this list that lost rows. If several keys of the table do, this is the action of the key that
    /// is first by name.
    pub on_delete: Option<ReferenceAction>,
}
