//! The details of one table, and lists of tables with few details.

use serde::{Deserialize, Serialize};

use crate::{AdminTable, ApiCaller, CallerAccess, Page, TableExposure, TableKind};

/// A table in a list with `fields=summary`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TableSummary {
    /// Name of the table.
    pub name: String,
    /// Kind of the table.
    pub kind: TableKind,
    /// Number of columns.
    pub column_count: i64,
    /// Whether the table has a primary key.
    pub has_primary_key: bool,
    /// Access that the public API allows without the secret key.
    pub exposure: TableExposure,
    /// Whether row-level security is enabled.
    pub row_level_security: bool,
    /// Number of policies.
    pub policy_count: i64,
    /// Postgres's estimate of the row count. Null for a view, and before the first `ANALYZE` unless the table is small.
    pub estimated_rows: Option<i64>,
    /// Size with indexes and TOAST, in bytes. 0 for a view or foreign table.
    pub total_bytes: i64,
    /// Comment on the table. Null if there is none.
    pub comment: Option<String>,
}

/// The form of the tables in a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TableFields {
    /// An `AdminTable`, with columns and keys.
    #[default]
    Full,
    /// A `TableSummary`.
    Summary,
}

/// A page of tables, in the form that `fields` selects.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TablesPage {
    /// Tables with columns and keys.
    Full(Page<AdminTable>),
    /// Tables with few details, for `fields=summary`.
    Summary(Page<TableSummary>),
}

/// Query parameters that select the tables to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct TablesQuery {
    /// Tables per page, 1 to 200 (default 50); with `fields=summary` 1 to 1000 (default 1000).
    pub limit: Option<u32>,
    /// `nextCursor` of the previous page. Without it, the first page is returned.
    pub cursor: Option<String>,
    /// What to return for each table (default `full`).
    #[cfg_attr(feature = "openapi", param(inline))]
    pub fields: Option<TableFields>,
    /// Only tables whose name contains this text (case-insensitive).
    pub q: Option<String>,
}

/// Selects one table by name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct TableNameQuery {
    /// Name of the table; case-sensitive.
    pub name: String,
}

/// A table with its complete structure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TableDetail {
    /// Name of the table.
    pub name: String,
    /// Kind of the table.
    pub kind: TableKind,
    /// Comment on the table. Null if there is none.
    pub comment: Option<String>,
    /// Access that the public API allows without the secret key.
    pub exposure: TableExposure,
    /// Which rows each kind of caller can reach: secret key, publishable key, signed-in user.
    pub access: Vec<CallerAccess>,
    /// Whether row-level security is enabled.
    pub row_level_security: bool,
    /// Whether row-level security also applies to the table's owner.
    pub force_row_level_security: bool,
    /// Whether a view runs with the privileges of its caller (`security_invoker`). Null for other kinds.
    pub security_invoker: Option<bool>,
    /// The operations that the table supports for any role: all for a table; for a view or foreign table, those that
    /// its definition or its triggers allow; none for a materialized view.
    pub supports: SupportedWrites,
    /// Postgres's estimate of the row count. Null for a view, and before the first `ANALYZE` unless the table is small.
    pub estimated_rows: Option<i64>,
    /// Size with indexes and TOAST, in bytes. 0 for a view or foreign table.
    pub total_bytes: i64,
    /// Size of the indexes, in bytes.
    pub index_bytes: i64,
    /// Columns in their order in the table.
    pub columns: Vec<ColumnDetail>,
    /// Columns of the primary key, in key order. Empty if there is none.
    pub primary_key: Vec<String>,
    /// The primary key, and the unique keys that have neither expressions nor a condition. Values without nulls
    /// identify a row.
    pub unique_keys: Vec<TableUniqueKey>,
    /// Check, unique, primary key and exclusion constraints.
    pub constraints: Vec<TableConstraint>,
    /// Foreign keys of this table.
    pub foreign_keys: Vec<TableReference>,
    /// Foreign keys of other tables, and of this one, that refer to this table.
    pub referenced_by: Vec<TableReference>,
    /// Indexes.
    pub indexes: Vec<TableIndex>,
    /// Triggers.
    pub triggers: Vec<TableTrigger>,
    /// Policies of row-level security.
    pub policies: Vec<TablePolicy>,
    /// SQL that creates the table or view with its constraints, indexes, policies, triggers and comments.
    pub definition: String,
}

/// The writes that a table or view supports for any role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SupportedWrites {
    /// Whether rows can be inserted.
    pub insert: bool,
    /// Whether rows can be updated.
    pub update: bool,
    /// Whether rows can be deleted.
    pub delete: bool,
}

/// A column of a table with all details.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ColumnDetail {
    /// Name of the column.
    pub name: String,
    /// Data type as Postgres prints it, for example `timestamp with time zone`.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether the column accepts `NULL`.
    pub nullable: bool,
    /// Whether an inserted row may omit the column, because it has a default, is an identity or is generated.
    pub has_default: bool,
    /// Expression of the default. Null if there is none.
    pub default: Option<String>,
    /// How an identity column is generated. Null if the column is not an identity column.
    pub identity: Option<IdentityKind>,
    /// Expression of a generated column. Null if the column is not generated.
    pub generated: Option<String>,
    /// Whether the column is part of the primary key.
    pub primary_key: bool,
    /// Labels of the column's enum type, in their order. Null if the type is not an enum.
    pub enum_values: Option<Vec<String>>,
    /// Comment on the column. Null if there is none.
    pub comment: Option<String>,
}

/// The kind of an identity column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum IdentityKind {
    /// `GENERATED ALWAYS`: a given value is rejected.
    Always,
    /// `GENERATED BY DEFAULT`: a given value is accepted.
    ByDefault,
}

/// A unique key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TableUniqueKey {
    /// Name of the constraint, or of the index if there is no constraint.
    pub name: String,
    /// Columns in key order.
    pub columns: Vec<String>,
    /// Whether this is the primary key.
    pub primary: bool,
}

/// A constraint other than a foreign key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TableConstraint {
    /// Name of the constraint.
    pub name: String,
    /// Kind of the constraint.
    pub kind: ConstraintKind,
    /// Columns that the constraint uses. Empty for a check that uses none.
    pub columns: Vec<String>,
    /// The constraint as SQL, for example `CHECK ((price > 0))`.
    pub definition: String,
    /// Whether existing rows were checked.
    pub validated: bool,
}

/// Kind of a constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ConstraintKind {
    /// `PRIMARY KEY`
    PrimaryKey,
    /// `UNIQUE`
    Unique,
    /// `CHECK`
    Check,
    /// `EXCLUDE`
    Exclusion,
}

/// A foreign key, seen from either of its tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TableReference {
    /// Name of the constraint.
    pub name: String,
    /// Schema of the referring table.
    pub schema: String,
    /// The referring table.
    pub table: String,
    /// The referring columns.
    pub columns: Vec<String>,
    /// Schema of the referenced table.
    pub references_schema: String,
    /// The referenced table.
    pub references_table: String,
    /// The referenced columns, in the order of `columns`.
    pub references_columns: Vec<String>,
    /// What happens to referring rows when a referenced row is deleted.
    pub on_delete: ReferenceAction,
    /// What happens to referring rows when the key of a referenced row changes.
    pub on_update: ReferenceAction,
}

/// The action of a foreign key on referring rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ReferenceAction {
    /// The change is rejected; checked at the end of the statement or transaction.
    NoAction,
    /// The change is rejected at once.
    Restrict,
    /// Referring rows are deleted or changed too.
    Cascade,
    /// The referring columns become null.
    SetNull,
    /// The referring columns are set to their default.
    SetDefault,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TableIndex {
    /// Name of the index.
    pub name: String,
    /// The statement `CREATE INDEX …`.
    pub definition: String,
    /// Whether the index is unique.
    pub unique: bool,
    /// Whether the index belongs to the primary key.
    pub primary: bool,
    /// Whether the index can be used. An interrupted `CREATE INDEX CONCURRENTLY` leaves one that can't.
    pub valid: bool,
    /// Name of the constraint that the index belongs to. Null if the index belongs to none.
    pub constraint: Option<String>,
    /// Size in bytes.
    pub size_bytes: i64,
    /// Number of scans since the statistics were reset.
    pub scans: i64,
}

/// A trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TableTrigger {
    /// Name of the trigger.
    pub name: String,
    /// The statement `CREATE TRIGGER …`.
    pub definition: String,
    /// Whether the trigger fires.
    pub enabled: bool,
}

/// A policy of row-level security.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TablePolicy {
    /// Name of the policy.
    pub name: String,
    /// The operation that the policy applies to.
    pub command: PolicyCommand,
    /// Whether the policy is permissive. A row must be accepted by at least one permissive policy and by all
    /// restrictive ones.
    pub permissive: bool,
    /// Roles that the policy applies to. `public` stands for all.
    pub roles: Vec<String>,
    /// The callers of the API that the policy applies to.
    pub callers: Vec<ApiCaller>,
    /// Condition on existing rows. Null if there is none.
    pub using: Option<String>,
    /// Condition on new rows. Null if there is none; then `using` applies.
    pub check: Option<String>,
}

/// The operation that a policy applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum PolicyCommand {
    /// All operations.
    All,
    /// Reading.
    Select,
    /// Inserting.
    Insert,
    /// Updating.
    Update,
    /// Deleting.
    Delete,
}
