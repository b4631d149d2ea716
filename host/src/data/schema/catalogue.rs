//! Converts the result of `load.sql` to a [`Schema`].

use std::collections::HashMap;

use anyhow::{Context, bail};
use api_types::TableKind;
use serde::Deserialize;

use super::{
    AcceptedWrites, Column, ForeignKey, Generated, OperatorName, ProjectCode, Schema, SqlType, Table, UniqueKey,
    types::{CatalogueType, Types},
};

/// First version of Postgres that supports `LIKE`, but not `ILIKE`, on columns with a nondeterministic collation.
const LIKE_WITH_ANY_COLLATION: u32 = 180_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Catalogue {
    version: String,
    /// Version of Postgres, for example 180001.
    server_version: u32,
    types: Vec<CatalogueType>,
    tables: Vec<CatalogueTable>,
    columns: Vec<CatalogueColumn>,
    keys: Vec<CatalogueKey>,
    foreign_keys: Vec<CatalogueForeignKey>,
    /// Schemas that contain types of columns, but on which the role has no `USAGE`.
    unusable_schemas: Vec<String>,
    /// Whether schema `public`, or a table of its owner in it, has no privileges at all.
    lacks_privileges: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CatalogueTable {
    oid: u32,
    name: String,
    kind: char,
    /// Supported writes as a bit set, as `pg_relation_is_updatable` returns it.
    writes: u32,
    select: bool,
    insert: bool,
    update: bool,
    delete: bool,
    reads_run_code: bool,
    writes_run_code: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CatalogueColumn {
    table: u32,
    number: i16,
    name: String,
    #[serde(rename = "type")]
    type_oid: u32,
    data_type: String,
    not_null: bool,
    has_default: bool,
    identity: String,
    generated: String,
    /// Name of the column's collation if it is not deterministic: strings that compare as equal can have different
    /// bytes.
    nondeterministic_collation: Option<String>,
    select: bool,
    insert: bool,
    update: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CatalogueKey {
    table: u32,
    name: String,
    columns: Vec<i16>,
    primary: bool,
    deferrable: bool,
    identifies: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CatalogueForeignKey {
    name: String,
    table: u32,
    columns: Vec<i16>,
    references_table: u32,
    references_columns: Vec<i16>,
    operators: Vec<String>,
}

/// Builds a schema from the JSON that `load.sql` returns.
pub(in crate::data) fn from_catalogue_json(json: &str) -> anyhow::Result<Schema> {
    let catalogue: Catalogue = serde_json::from_str(json).context("load.sql returned an unexpected format")?;
    let types = Types::new(catalogue.types);
    let like_with_any_collation = catalogue.server_version >= LIKE_WITH_ANY_COLLATION;
    let mut tables: HashMap<u32, (Table, bool)> = catalogue
        .tables
        .into_iter()
        .map(|table| {
            let privileged = table.select || table.insert || table.update || table.delete;
            Ok((table.oid, (table_without_columns(table)?, privileged)))
        })
        .collect::<anyhow::Result<_>>()?;
    // Maps the catalogue's column numbers to positions among the visible columns.
    let mut positions: HashMap<(u32, i16), usize> = HashMap::new();
    for column in catalogue.columns {
        let Some((table, privileged)) = tables.get_mut(&column.table) else { continue };
        if !(column.select || column.insert || column.update) || types.is_too_deep(column.type_oid)? {
            table.has_hidden_columns = true;
            continue;
        }
        *privileged = true;
        positions.insert((column.table, column.number), table.columns.len());
        let mut column = visible_column(column, &types)?;
        column.supports_like |= like_with_any_collation;
        table.columns.push(column);
    }
    tables.retain(|_, (_, privileged)| *privileged);
    let visible = |table: u32, numbers: &[i16]| -> Option<Vec<usize>> {
        numbers.iter().map(|number| positions.get(&(table, *number)).copied()).collect()
    };
    for key in catalogue.keys {
        if let (Some((table, _)), Some(columns)) = (tables.get_mut(&key.table), visible(key.table, &key.columns)) {
            table.unique_keys.push(UniqueKey {
                name: key.name,
                columns,
                primary: key.primary,
                deferrable: key.deferrable,
                identifies: key.identifies,
            });
        }
    }
    let foreign_keys = catalogue
        .foreign_keys
        .into_iter()
        .filter_map(|key| {
            Some(ForeignKey {
                columns: visible(key.table, &key.columns)?,
                references_columns: visible(key.references_table, &key.references_columns)?,
                table: tables.get(&key.table)?.0.name.clone(),
                references_table: tables.get(&key.references_table)?.0.name.clone(),
                operators: key.operators.iter().map(|operator| OperatorName::from_catalogue(operator)).collect(),
                name: key.name,
            })
        })
        .collect();
    Ok(Schema {
        is_of_user: false,
        unusable_schemas: catalogue.unusable_schemas,
        lacks_privileges: catalogue.lacks_privileges,
        version: catalogue.version,
        tables: tables.into_values().map(|(table, _)| (table.name.clone(), table)).collect(),
        foreign_keys,
    })
}

fn table_without_columns(table: CatalogueTable) -> anyhow::Result<Table> {
    let accepts = |command: u32| table.writes & (1 << command) != 0;
    Ok(Table {
        kind: match table.kind {
            'r' | 'p' => TableKind::Table,
            'v' => TableKind::View,
            'm' => TableKind::MaterializedView,
            'f' => TableKind::ForeignTable,
            other => bail!("table `{}` has the unknown kind `{other}`", table.name),
        },
        columns: Vec::new(),
        has_hidden_columns: false,
        unique_keys: Vec::new(),
        can_select: table.select,
        can_insert: table.insert,
        can_update: table.update,
        can_delete: table.delete,
        // CMD_UPDATE is 2, CMD_INSERT 3, CMD_DELETE 4.
        accepts: AcceptedWrites { insert: accepts(3), update: accepts(2), delete: accepts(4) },
        code: ProjectCode { on_read: table.reads_run_code, on_write: table.writes_run_code },
        name: table.name,
    })
}

fn visible_column(column: CatalogueColumn, types: &Types) -> anyhow::Result<Column> {
    let mut base_type: &CatalogueType = types.get(column.type_oid)?;
    // A domain gets the default of its base type when it is created, and can drop it later.
    let has_default = column.has_default || base_type.has_default;
    let mut not_null = column.not_null;
    // A domain adds its NOT NULL to that of its base type.
    while base_type.kind == 'd' {
        not_null |= base_type.not_null;
        base_type = types.get(base_type.base)?;
    }
    let generated = match (column.generated.as_str(), column.identity.as_str()) {
        ("", "a") => Generated::AlwaysIdentity,
        ("", "" | "d") => Generated::No,
        // `s` is a stored generated column. `v` is a virtual one, which exists since Postgres 18.
        ("s" | "v", _) => Generated::Computed,
        (generated, identity) => {
            bail!("column `{}` has the unknown generation `{generated}` or identity `{identity}`", column.name)
        }
    };
    Ok(Column {
        name: column.name,
        data_type: column.data_type,
        base_type: SqlType::from_catalogue(&base_type.name),
        result_form: types.result_form(base_type),
        json_scalar: types.is_json_scalar(base_type),
        has_text_cast: types.has_text_cast(base_type),
        exact: types.is_exact(base_type, column.nondeterministic_collation.is_none()),
        supports_like: column.nondeterministic_collation.is_none(),
        nondeterministic_collation: column.nondeterministic_collation,
        json_input: types.json_input(base_type)?,
        operators: types.operators(base_type),
        comparable: types.comparable(base_type)?,
        class: types.class(base_type)?,
        not_null,
        has_default: has_default || !column.identity.is_empty() || !column.generated.is_empty(),
        generated,
        can_select: column.select,
        can_insert: column.insert,
        can_update: column.update,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn column_of_a_type_that_is_nested_too_deeply_is_hidden() {
        let data_type = |oid: u32, kind: &str, attributes: Value| {
            json!({ "oid": oid, "name": format!("public.t{oid}"), "builtin": "", "jsonCast": false, "textCast": false,
                "ordered": false, "operators": {}, "attributes": attributes, "kind": kind, "category": "U", "base": 0,
                "notNull": false, "hasDefault": false, "element": 0, "range": 0, "subtype": 0 })
        };
        // Type 1000 + n is a composite type that contains n other types, one in the other.
        let composites = (1..=5000).map(|depth| data_type(1000 + depth, "c", json!([["a", 999 + depth]])));
        let types: Vec<Value> = composites.chain([data_type(1000, "b", json!([]))]).collect();
        let column = |number: u32, type_oid: u32| {
            json!({ "table": 1, "number": number, "name": format!("c{number}"), "type": type_oid, "dataType": "t",
                "notNull": false, "hasDefault": false, "identity": "", "generated": "",
                "select": true, "insert": true, "update": true })
        };
        let catalogue = json!({ "version": "1", "serverVersion": 150000, "types": types, "keys": [], "foreignKeys": [],
            "unusableSchemas": [], "lacksPrivileges": false,
            "columns": [column(1, 6000), column(2, 1063), column(3, 1064)],
            "tables": [{ "oid": 1, "name": "a", "kind": "r", "writes": 28, "select": true, "insert": true,
                "update": true, "delete": true, "readsRunCode": false, "writesRunCode": false }] });
        let schema = from_catalogue_json(&catalogue.to_string()).unwrap();
        let table = schema.table("a").unwrap();
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!((names, table.has_hidden_columns), (vec!["c2"], true));
    }

    #[test]
    fn keys_of_hidden_columns_are_omitted() {
        let schema = from_catalogue_json(
            r#"{"version":"1","serverVersion":150000,
              "types":[{"oid":20,"name":"pg_catalog.int8","builtin":"int8","jsonCast":false,
                "textCast":false,
                "ordered":true,"operators":{},"attributes":[],"kind":"b",
                "category":"N","base":0,"notNull":false,"hasDefault":false,"element":0,"range":0,"subtype":0},
                {"oid":99,"name":"public.\"Odd\"","builtin":"","jsonCast":false,"textCast":false,
                "ordered":false,"operators":{},"attributes":[],"kind":"d",
                "category":"N","base":20,"notNull":true,"hasDefault":false,"element":0,"range":0,"subtype":0}],
              "tables":[{"oid":1,"name":"a","kind":"r","writes":28,"select":false,"insert":false,"update":false,
                 "delete":false,"readsRunCode":false,"writesRunCode":false},
                        {"oid":2,"name":"hidden","kind":"r","writes":28,"select":false,"insert":false,"update":false,
                 "delete":false,"readsRunCode":false,"writesRunCode":true}],
              "columns":[{"table":1,"number":1,"name":"id","type":20,"dataType":"bigint",
                "notNull":true,"hasDefault":false,
                "identity":"a","generated":"","select":false,"insert":false,"update":false},
               {"table":1,"number":3,"name":"v","type":99,"dataType":"\"Odd\"","notNull":false,"hasDefault":false,
                "identity":"","generated":"","select":true,"insert":false,"update":false}],
              "keys":[{"table":1,"name":"a_pkey","columns":[1],"primary":true,"deferrable":false,
                "identifies":true},
                      {"table":1,"name":"a_v_key","columns":[3],"primary":false,"deferrable":false,
                "identifies":true}],
              "foreignKeys":[],"unusableSchemas":[],"lacksPrivileges":false}"#,
        )
        .unwrap();
        assert!(schema.table("hidden").is_none());
        let table = schema.table("a").unwrap();
        assert!(table.has_hidden_columns && table.primary_key().is_none());
        assert_eq!(table.unique_keys[0].columns, [0]);
        let column = &table.columns[0];
        assert_eq!((column.base_type.as_str(), column.not_null), ("pg_catalog.int8", true));
    }
}
