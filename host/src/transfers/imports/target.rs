//! The table into which a file is imported.

use serde::Deserialize;

use crate::{
    db::{DbRole, ExclusiveClient, ProjectPools, Statement},
    error::{ApiError, ApiResult, Code},
    plugins::TransferError,
    transfers::postgres::refused,
};

/// Describes a table or view of schema `public` as JSON.
const TARGET: &str = include_str!("target.sql");

/// A table.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    /// The name with its schema, quoted.
    pub(super) quoted: String,
    /// Value of `relkind` in `pg_class`: `r` or `p` for tables.
    pub(super) kind: String,
    pub(super) columns: Vec<Column>,
    /// Columns that identify a row: the primary key, unique constraints and unique indexes.
    pub(super) keys: Vec<Key>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Column {
    pub(super) name: String,
    /// The type as Postgres prints it, for example `numeric(10,2)`.
    #[serde(rename = "type")]
    pub(super) data_type: String,
    /// Category in `pg_type`, for example `N` for numbers.
    pub(super) category: String,
    /// Whether it is `json` or `jsonb`.
    pub(super) is_json: bool,
    /// Whether it is `hstore`. Postgres converts `hstore` to JSON, but not JSON to `hstore`.
    pub(super) is_hstore: bool,
    /// Whether equal values are always identical. Equal values of other types can differ, such as the numbers `1.0` and
    /// `1.00`.
    pub(super) is_exact: bool,
    pub(super) is_generated: bool,
    /// Whether it is an identity that is `ALWAYS` generated.
    pub(super) is_always_identity: bool,
    /// Expression of the default, or of an identity's next value.
    pub(super) default: Option<String>,
    /// The sequence that belongs to the column, quoted.
    pub(super) sequence: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Key {
    pub(super) columns: Vec<String>,
    /// For each column, the operator with which the key compares values for equality.
    pub(super) equalities: Vec<String>,
    pub(super) is_primary: bool,
    /// Whether NULL equals NULL: `NULLS NOT DISTINCT`.
    pub(super) nulls_are_equal: bool,
}

impl Target {
    /// Finds the table. Views and tables of other schemas are refused.
    pub(super) async fn find(pools: &ProjectPools, project: &str, table: &str) -> ApiResult<Self> {
        let mut statement = Statement::new(TARGET);
        statement.push(Some(table));
        let rows = pools.fetch(project, DbRole::Owner, &statement).await?;
        let unknown = || {
            ApiError::new(Code::UnknownTable, format!("Unknown table `{table}` in schema `public`."))
                .with_hint("Create the table first. Imports are possible only into tables of schema `public`.")
        };
        let text: String = rows.first().ok_or_else(unknown)?.try_get(0).map_err(ApiError::internal)?;
        let target: Self = serde_json::from_str(&text).map_err(ApiError::internal)?;
        if !target.is_table() {
            return Err(ApiError::new(Code::Unprocessable, format!("`{table}` is not a table."))
                .with_hint("Import into a table, for example the table that a view reads."));
        }
        Ok(target)
    }

    /// Reads the table again, in the transaction of an import.
    pub(super) async fn read(client: &ExclusiveClient, table: &str) -> Result<Self, TransferError> {
        let gone = || TransferError::Refused(format!("the table `{table}` no longer exists in schema `public`"));
        let row = client.query_opt(TARGET, &[&table]).await.map_err(refused)?.ok_or_else(gone)?;
        let text: String = row.try_get(0).map_err(refused)?;
        let target: Self = serde_json::from_str(&text).map_err(|error| TransferError::Refused(error.to_string()))?;
        if target.is_table() { Ok(target) } else { Err(gone()) }
    }

    fn is_table(&self) -> bool {
        matches!(self.kind.as_str(), "r" | "p")
    }

    /// Returns whether NULL equals NULL in a key with these columns. If several keys have these columns, an upsert
    /// obeys all of them.
    pub(super) fn nulls_are_equal(&self, columns: &[String]) -> bool {
        let has_columns =
            |key: &&Key| key.columns.len() == columns.len() && key.columns.iter().all(|name| columns.contains(name));
        self.keys.iter().filter(has_columns).any(|key| key.nulls_are_equal)
    }

    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}
