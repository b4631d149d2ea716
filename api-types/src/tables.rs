use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

/// Answer of `GET /v1/db/tables`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tables {
    pub tables: Vec<Table>,
}

/// A table or view of schema `public` as the caller may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Table {
    pub name: String,
    pub kind: TableKind,
    pub columns: Vec<Column>,
    /// Names of the primary key's columns in key order.
    pub primary_key: Vec<String>,
    pub foreign_keys: Vec<ForeignKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TableKind {
    Table,
    View,
    MaterializedView,
    ForeignTable,
}

text_enum!(TableKind {
    Table => "table",
    View => "view",
    MaterializedView => "materialized_view",
    ForeignTable => "foreign_table",
});

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Column {
    pub name: String,
    /// As Postgres writes it, for example `timestamp with time zone`.
    #[serde(rename = "type")]
    pub data_type: String,
    pub nullable: bool,
    /// A row may leave it out: it has a default, is an identity or is generated.
    pub has_default: bool,
    pub primary_key: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ForeignKey {
    /// Name of the constraint.
    pub name: String,
    pub columns: Vec<String>,
    pub references_table: String,
    pub references_columns: Vec<String>,
}

/// Who may do what with a table through the public API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TableAccess {
    None,
    Read,
    /// Read and all of insert, update, delete.
    Write,
}

text_enum!(TableAccess {
    None => "none",
    Read => "read",
    Write => "write",
});

/// A table as the owner sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AdminTable {
    #[serde(flatten)]
    pub table: Table,
    pub exposure: TableExposure,
    /// Row-level security is on.
    pub row_level_security: bool,
    /// It also binds the table's owner.
    pub force_row_level_security: bool,
    /// Names of the table's policies.
    pub policies: Vec<String>,
    /// Postgres's estimate; null before the first `ANALYZE`.
    pub estimated_rows: Option<i64>,
    /// With indexes and TOAST, in bytes.
    pub total_bytes: i64,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TableExposure {
    /// For requests with the publishable key alone.
    pub publishable: TableAccess,
    /// For requests with a signed-in user's token.
    pub signed_in: TableAccess,
}

/// What is left out stays.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateTableExposure {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publishable: Option<TableAccess>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_in: Option<TableAccess>,
    /// Must be true to open a table without row-level security to writes, or to signed-in users.
    #[serde(default)]
    pub confirm: bool,
}
