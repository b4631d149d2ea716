//! Reads one table with all its details.

use api_types::{
    ColumnDetail, SupportedWrites, TableConstraint, TableDetail, TableExposure, TableIndex, TableKind, TableReference,
    TableTrigger, TableUniqueKey,
};
use serde::Deserialize;

use super::{
    access,
    definition::{Source, definition},
};
use crate::{
    db::{DbRole, ProjectPools, Statement},
    error::{ApiError, ApiResult},
};

/// Bits of the catalogue's `pg_relation_is_updatable`, which numbers commands as `1 << CmdType`.
const UPDATE: i32 = 1 << 2;
const INSERT: i32 = 1 << 3;
const DELETE: i32 = 1 << 4;

/// The result of `detail.sql`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CatalogueTable {
    pub(super) name: String,
    pub(super) kind: TableKind,
    pub(super) comment: Option<String>,
    exposure: TableExposure,
    pub(super) force_row_level_security: bool,
    writes: i32,
    estimated_rows: Option<i64>,
    total_bytes: i64,
    index_bytes: i64,
    pub(super) columns: Vec<ColumnDetail>,
    primary_key: Vec<String>,
    unique_keys: Vec<TableUniqueKey>,
    pub(super) constraints: Vec<TableConstraint>,
    foreign_keys: Vec<TableReference>,
    referenced_by: Vec<TableReference>,
    pub(super) indexes: Vec<TableIndex>,
    pub(super) triggers: Vec<TableTrigger>,
    pub(super) source: Source,
}

/// Returns a table of schema `public`, or `None` if no table has this name.
pub(super) async fn get(pools: &ProjectPools, project: &str, name: &str) -> ApiResult<Option<TableDetail>> {
    if name.contains('\0') {
        return Ok(None);
    }
    let mut statement = Statement::new(include_str!("detail.sql"));
    statement.push(Some(name));
    for role in [DbRole::Anon, DbRole::User] {
        statement.push(Some(role.name(project)));
    }
    let rows = pools.fetch(project, DbRole::Owner, &statement).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let json: &str = row.try_get(0).map_err(ApiError::internal)?;
    let table: CatalogueTable = serde_json::from_str(json).map_err(ApiError::internal)?;
    // The table was dropped between the two queries.
    let Some(facts) = access::facts(pools, project, Some(name)).await?.pop() else { return Ok(None) };
    let supports = |bit: i32| table.writes & bit != 0;
    Ok(Some(TableDetail {
        definition: definition(&table, &facts),
        access: facts.callers(),
        row_level_security: facts.row_level_security,
        security_invoker: (facts.kind == TableKind::View).then_some(facts.security_invoker),
        policies: facts.policies,
        supports: SupportedWrites { insert: supports(INSERT), update: supports(UPDATE), delete: supports(DELETE) },
        name: table.name,
        kind: table.kind,
        comment: table.comment,
        exposure: table.exposure,
        force_row_level_security: table.force_row_level_security,
        estimated_rows: table.estimated_rows,
        total_bytes: table.total_bytes,
        index_bytes: table.index_bytes,
        columns: table.columns,
        primary_key: table.primary_key,
        unique_keys: table.unique_keys,
        constraints: table.constraints,
        foreign_keys: table.foreign_keys,
        referenced_by: table.referenced_by,
        indexes: table.indexes,
        triggers: table.triggers,
    }))
}
