//! SQL, parsed with Postgres's grammar.

use serde::{Deserialize, Serialize};

/// SQL to parse. It is not executed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ParseSql {
    /// The SQL, with any number of statements.
    pub sql: String,
}

/// The statements of the parsed SQL.
///
/// Positions count characters (Unicode scalar values, not bytes and not UTF-16 units).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ParsedSql {
    /// The statements in their order. Those that could not be parsed have an `error`.
    pub statements: Vec<ParsedStatement>,
}

/// A statement of the parsed SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ParsedStatement {
    /// Position of the statement's first character, from 0. White space and comments before the statement are not part
    /// of it.
    pub start: u32,
    /// Position after the statement's last character, from 0. White space, comments and the semicolon after the
    /// statement are not part of it.
    pub end: u32,
    /// The command, for example `SELECT`, `INSERT` or `CREATE TABLE`. Empty if there is an `error`, and for refused
    /// statements that are longer than 128 KiB or nested very deeply, except queries, `INSERT`, `UPDATE`, `DELETE` and
    /// `MERGE`.
    pub command: String,
    /// Whether `EXPLAIN` supports the statement.
    pub explainable: bool,
    /// Whether the statement itself only reads. Functions that it calls may still change something.
    pub read_only: bool,
    /// Whether the statement can run in a transaction with others. False for `VACUUM`, `CREATE INDEX CONCURRENTLY` and
    /// the like.
    pub in_transaction: bool,
    /// Data and objects that the statement destroys, except tables, views, sequences, indexes, types and schemas that
    /// an earlier statement of the same SQL created. What `CASCADE` and functions remove in addition is not included.
    /// Empty for statements that are longer than 128 KiB or nested very deeply.
    pub destroys: Vec<Destroyed>,
    /// Why the SQL editor does not run the statement. Null if it does, or if there is an `error`.
    pub refused: Option<RefusedStatement>,
    /// The reason why the statement could not be parsed. Null if it could.
    pub error: Option<SyntaxError>,
}

/// Data or an object that a statement destroys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Destroyed {
    /// How the data or object is destroyed.
    pub action: DestroyAction,
    /// Kind of the object in lower case: `table`, `view`, `materialized view`, `schema`, `function`, `type`, ….
    pub kind: String,
    /// Schema that the statement names. Null if it names none.
    pub schema: Option<String>,
    /// Name of the object.
    pub name: String,
    /// The column, for `dropColumn`. Null otherwise.
    pub column: Option<String>,
    /// Whether the statement is a `TRUNCATE … CASCADE`, which also removes the rows of tables that refer to this one.
    pub cascade: bool,
}

/// The way in which data or an object is destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DestroyAction {
    /// `DROP`
    Drop,
    /// `ALTER TABLE … DROP COLUMN`
    DropColumn,
    /// `TRUNCATE`
    Truncate,
    /// `DELETE` without `WHERE`
    DeleteAll,
    /// `UPDATE` without `WHERE`
    UpdateAll,
}

/// The reason why the SQL editor does not run a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RefusedStatement {
    /// What is not supported.
    pub message: String,
    /// What to do instead.
    pub hint: String,
}

/// The reason why a statement could not be parsed: a syntax error, or its length or nesting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SyntaxError {
    /// Message of Postgres's parser, or of AtlasHub for a statement that is too long or nested too deeply.
    pub message: String,
    /// Position in the SQL, from 1, as Postgres counts it. Null if it is unknown.
    pub position: Option<u32>,
    /// Line of the position, from 1. Null if the position is unknown.
    pub line: Option<u32>,
}
