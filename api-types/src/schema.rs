//! The names in a project's database, for the completion of SQL.

use serde::{Deserialize, Serialize};

use crate::TableKind;

/// The schemas of a project's database, except Postgres's own, with their tables, functions and enums.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DatabaseSchema {
    /// The schemas, `public` first, the others by name.
    pub schemas: Vec<SchemaObjects>,
}

/// The contents of one schema, each list sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SchemaObjects {
    /// Name of the schema.
    pub name: String,
    /// Tables and views.
    pub tables: Vec<SchemaTable>,
    /// Functions, procedures and aggregates. Overloaded functions have an entry for each list of arguments.
    pub functions: Vec<SchemaFunction>,
    /// Enum types.
    pub enums: Vec<SchemaEnum>,
}

/// A table or view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SchemaTable {
    /// Name of the table.
    pub name: String,
    /// Kind of the table.
    pub kind: TableKind,
    /// Columns in their order in the table.
    pub columns: Vec<SchemaColumn>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SchemaColumn {
    /// Name of the column.
    pub name: String,
    /// Data type as Postgres prints it.
    #[serde(rename = "type")]
    pub data_type: String,
}

/// A function, procedure or aggregate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SchemaFunction {
    /// Name of the function.
    pub name: String,
    /// Kind of the function.
    pub kind: FunctionKind,
    /// Arguments as Postgres prints them, for example `name text, age integer DEFAULT 0`.
    pub arguments: String,
    /// Type of the result. Null for a procedure.
    pub returns: Option<String>,
}

/// Kind of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum FunctionKind {
    /// A function.
    Function,
    /// A procedure.
    Procedure,
    /// An aggregate function.
    Aggregate,
    /// A window function.
    Window,
}

/// An enum type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SchemaEnum {
    /// Name of the type.
    pub name: String,
    /// Labels in their order.
    pub values: Vec<String>,
}
