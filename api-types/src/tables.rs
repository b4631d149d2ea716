//! Tables and their exposure through the public API.

use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

/// The response of `GET /v1/db/tables`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tables {
    /// Tables and views that the caller may see.
    pub tables: Vec<Table>,
}

/// A table or view of the schema `public`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Table {
    /// Name of the table.
    pub name: String,
    /// Kind of the table.
    pub kind: TableKind,
    /// Columns in their order in the table.
    pub columns: Vec<Column>,
    /// Columns of the primary key, in key order. Empty if there is none.
    pub primary_key: Vec<String>,
    /// Foreign keys of the table.
    pub foreign_keys: Vec<ForeignKey>,
}

/// The kind of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TableKind {
    /// A table.
    Table,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// A foreign table.
    ForeignTable,
}

text_enum!(TableKind {
    Table => "table",
    View => "view",
    MaterializedView => "materialized_view",
    ForeignTable => "foreign_table",
});

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Column {
    /// Name of the column.
    pub name: String,
    /// Data type as Postgres prints it, for example `timestamp with time zone`.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether the column accepts `NULL`.
    pub nullable: bool,
    /// Whether an inserted row may omit the column, because it has a default, is an identity or is generated.
    pub has_default: bool,
    /// Whether the column is part of the primary key.
    pub primary_key: bool,
}

/// A foreign key of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ForeignKey {
    /// Name of the constraint.
    pub name: String,
    /// Columns of this table.
    pub columns: Vec<String>,
    /// The referenced table. In the admin API it has the form `schema.table` if the schema is not `public`.
    pub references_table: String,
    /// Columns of the referenced table, in the order of `columns`.
    pub references_columns: Vec<String>,
}

/// The access that the public API allows to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TableAccess {
    /// Nothing, except for single columns that SQL granted.
    None,
    /// Reading rows.
    Read,
    /// Reading, inserting, updating and deleting rows. A table on which SQL granted only some of these writes is also
    /// reported as `write`.
    Write,
}

text_enum!(TableAccess {
    None => "none",
    Read => "read",
    Write => "write",
});

/// A table with properties that only the owner sees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AdminTable {
    /// The table.
    #[serde(flatten)]
    pub table: Table,
    /// Access that the public API allows without the secret key.
    pub exposure: TableExposure,
    /// Whether row-level security is enabled.
    pub row_level_security: bool,
    /// Whether row-level security also applies to the table's owner.
    pub force_row_level_security: bool,
    /// Names of the table's policies.
    pub policies: Vec<String>,
    /// Postgres's estimate of the row count. Null for a view, and before the first `ANALYZE` unless the table is small.
    pub estimated_rows: Option<i64>,
    /// Size with indexes and TOAST, in bytes. 0 for a view or foreign table.
    pub total_bytes: i64,
    /// Comment on the table. Null if there is none.
    pub comment: Option<String>,
}

/// The exposure of a table through the public API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TableExposure {
    /// Access with the publishable key alone.
    pub publishable: TableAccess,
    /// Access with a signed-in user's token.
    pub signed_in: TableAccess,
}

/// Changes to the exposure of a table. Fields that are absent stay as they are.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateTableExposure {
    /// Access with the publishable key alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publishable: Option<TableAccess>,
    /// Access with a signed-in user's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_in: Option<TableAccess>,
    /// Must be true to expose a table without row-level security for writing or to signed-in users, or to expose a
    /// materialized view (default false).
    #[serde(default)]
    pub confirm: bool,
}
