//! The suggestions for the fields of a column: types, and tables that it can refer to.

use api_types::{DatabaseSchema, Page, TableSummary};
use dioxus::prelude::*;

use crate::{
    remote::use_remote,
    value::{identifier, short_type},
};

/// The suggested types. The owner can type any other type.
const TYPES: [&str; 15] = [
    "bigint",
    "integer",
    "numeric",
    "double precision",
    "text",
    "varchar(255)",
    "boolean",
    "uuid",
    "date",
    "timestamptz",
    "time",
    "jsonb",
    "bytea",
    "text[]",
    "inet",
];

/// The names in a project's database that a column can use.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::pages::tables) struct Names {
    pub(super) tables: Vec<String>,
    /// The enum types of the schema `public`, for use in SQL.
    enums: Vec<String>,
}

/// Reads the names of a project's database. The lists are empty until they are read.
pub(in crate::pages::tables) fn use_names(project: &str) -> Names {
    let tables_path = format!("/projects/{project}/tables?fields=summary&limit=1000");
    let schema_path = format!("/projects/{project}/schema");
    let tables = use_remote::<Page<TableSummary>>(use_signal(|| tables_path).into());
    let schema = use_remote::<DatabaseSchema>(use_signal(|| schema_path).into());
    Names {
        tables: tables.value().map(|page| page.items.into_iter().map(|table| table.name).collect()).unwrap_or_default(),
        enums: schema.value().map(|schema| enum_types(&schema)).unwrap_or_default(),
    }
}

/// Returns the enum types of the schema `public`, with their names for use in SQL.
fn enum_types(schema: &DatabaseSchema) -> Vec<String> {
    let own = schema.schemas.iter().filter(|schema| schema.name == "public");
    own.flat_map(|schema| &schema.enums).map(|of| identifier(&of.name)).collect()
}

/// The lists of suggestions, to which fields refer by these ids.
#[component]
pub(in crate::pages::tables) fn Suggestions(names: Names, types_id: &'static str, tables_id: &'static str) -> Element {
    rsx! {
        datalist { id: types_id,
            for data_type in TYPES {
                // The label is the short name, as in the grid.
                option {
                    key: "{data_type}",
                    value: "{data_type}",
                    label: Some(short_type(data_type)).filter(|short| short != data_type),
                }
            }
            for name in names.enums {
                option { key: "enum {name}", value: "{name}", label: "enum" }
            }
        }
        datalist { id: tables_id,
            for name in names.tables {
                option { key: "{name}", value: "{name}" }
            }
        }
    }
}
