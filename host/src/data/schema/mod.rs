//! What one role may see of schema `public`, as of one moment: the planner's only source of names.

mod cache;
mod load;

use std::{collections::HashMap, fmt};

pub use cache::{Evidence, SchemaCache};

use api_types::TableKind;

/// Tables, views, columns and keys on which a role holds a privilege.
#[derive(Debug, Default)]
pub struct Schema {
    /// Changes whenever anything below might have.
    pub version: String,
    tables: HashMap<String, Table>,
    pub foreign_keys: Vec<ForeignKey>,
}

#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    pub kind: TableKind,
    /// Those the role holds a privilege on, in the table's order.
    pub columns: Vec<Column>,
    /// Some columns are out of the role's sight.
    pub has_hidden_columns: bool,
    /// Keys of visible columns only.
    pub unique_keys: Vec<UniqueKey>,
    pub can_insert: bool,
    pub can_update: bool,
    pub can_delete: bool,
    /// A view whose definition, or triggers, let it take such writes; true for tables.
    pub accepts: Accepts,
}

/// The writes that a relation can take at all, whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepts {
    pub insert: bool,
    pub update: bool,
    pub delete: bool,
}

#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    /// As Postgres writes it, with its modifier: `numeric(10,2)`.
    pub data_type: String,
    /// What parameters are cast to.
    pub base_type: SqlType,
    pub class: TypeClass,
    /// `row_to_json` never puts a raw line feed into it.
    pub single_line: bool,
    pub comparable: Comparable,
    pub not_null: bool,
    pub has_default: bool,
    pub generated: Generated,
    pub can_select: bool,
    pub can_insert: bool,
    pub can_update: bool,
}

/// Quoted, schema-qualified name of a type below any domain and without modifier, made by the catalogue.
#[derive(Clone, PartialEq, Eq)]
pub struct SqlType(String);

/// What kind of value a column holds, as far as filters care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeClass {
    Text,
    Boolean,
    Time,
    Json,
    Jsonb,
    TsVector,
    Array,
    /// Ranges and multiranges of `range` over `element`.
    Range {
        range: SqlType,
        element: SqlType,
    },
    Composite,
    Other,
}

/// Which comparisons the type has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Comparable {
    No,
    Equality,
    Ordered,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generated {
    /// An ordinary column, or an identity that takes a given value.
    No,
    AlwaysIdentity,
    Stored,
}

#[derive(Debug, Clone)]
pub struct UniqueKey {
    /// Of the constraint, or of the index if there is none.
    pub name: String,
    /// Positions in `Table::columns`, in key order.
    pub columns: Vec<usize>,
    pub primary: bool,
    /// Deferrable ones can't decide an upsert.
    pub deferrable: bool,
}

/// A reference between two visible tables over visible columns.
#[derive(Debug, Clone)]
pub struct ForeignKey {
    pub name: String,
    pub table: String,
    /// Positions in the columns of `table`.
    pub columns: Vec<usize>,
    pub references_table: String,
    pub references_columns: Vec<usize>,
}

impl Schema {
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)
    }

    /// By name.
    pub fn sorted_tables(&self) -> Vec<&Table> {
        let mut tables: Vec<&Table> = self.tables.values().collect();
        tables.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        tables
    }

    /// The foreign key of a table with that constraint name.
    pub fn foreign_key(&self, table: &str, constraint: &str) -> Option<&ForeignKey> {
        self.foreign_keys.iter().find(|key| key.table == table && key.name == constraint)
    }

    /// Answer of `GET /v1/db/tables`.
    pub fn describe(&self) -> api_types::Tables {
        api_types::Tables { tables: self.sorted_tables().into_iter().map(|table| self.describe_table(table)).collect() }
    }

    fn describe_table(&self, table: &Table) -> api_types::Table {
        let primary = table.primary_key().map_or(&[][..], |key| &key.columns);
        let names = |table: &Table, columns: &[usize]| -> Vec<String> {
            columns.iter().map(|position| table.columns[*position].name.clone()).collect()
        };
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
            primary_key: names(table, primary),
            foreign_keys: self
                .foreign_keys
                .iter()
                .filter(|key| key.table == table.name)
                .filter_map(|key| {
                    Some(api_types::ForeignKey {
                        name: key.name.clone(),
                        columns: names(table, &key.columns),
                        references_table: key.references_table.clone(),
                        references_columns: names(self.table(&key.references_table)?, &key.references_columns),
                    })
                })
                .collect(),
        }
    }
}

impl Table {
    pub fn column_position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    pub fn primary_key(&self) -> Option<&UniqueKey> {
        self.unique_keys.iter().find(|key| key.primary)
    }

    /// Names of a constraint's columns, if it is a unique key of this table.
    pub fn key_column_names(&self, constraint: &str) -> Option<Vec<&str>> {
        let key = self.unique_keys.iter().find(|key| key.name == constraint)?;
        Some(self.column_names(&key.columns))
    }

    pub fn column_names(&self, positions: &[usize]) -> Vec<&str> {
        positions.iter().map(|position| self.columns[*position].name.as_str()).collect()
    }
}

impl SqlType {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SqlType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
pub(in crate::data) use load::from_catalogue_json;
