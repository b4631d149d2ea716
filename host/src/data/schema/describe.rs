//! The schema in the form of `GET /v1/db/tables`.

use super::{Schema, Table};

impl Schema {
    /// Describes the tables, columns and keys for clients.
    pub fn describe(&self) -> api_types::Tables {
        api_types::Tables {
            tables: self.sorted_tables().into_iter().map(|table| describe_table(self, table)).collect(),
        }
    }
}

fn describe_table(schema: &Schema, table: &Table) -> api_types::Table {
    let primary = table.primary_key().map_or(&[][..], |key| &key.columns);
    api_types::Table {
        name: table.name.clone(),
        kind: table.kind,
        columns: table
            .columns
            .iter()
            .enumerate()
            .map(|(position, column)| api_types::Column {
                name: column.name.clone(),
                data_type: column.data_type.clone(),
                nullable: !column.not_null,
                has_default: column.has_default,
                primary_key: primary.contains(&position),
            })
            .collect(),
        primary_key: owned_names(table, primary),
        foreign_keys: schema
            .foreign_keys
            .iter()
            .filter(|key| key.table == table.name)
            .filter_map(|key| {
                Some(api_types::ForeignKey {
                    name: key.name.clone(),
                    columns: owned_names(table, &key.columns),
                    references_table: key.references_table.clone(),
                    references_columns: owned_names(schema.table(&key.references_table)?, &key.references_columns),
                })
            })
            .collect(),
    }
}

fn owned_names(table: &Table, columns: &[usize]) -> Vec<String> {
    table.column_names(columns).into_iter().map(str::to_owned).collect()
}
