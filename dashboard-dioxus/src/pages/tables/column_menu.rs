//! The menu of a column of a table. Its entries open the SQL page with a statement, which the owner completes and runs.

use api_types::ColumnDetail;
use dioxus::prelude::*;

use super::sql_link::open_sql;
use crate::{
    ui::{IconName, Menu, MenuItem},
    value::quoted,
};

/// `table` is the name of the table.
#[component]
pub(super) fn ColumnMenu(project: String, table: String, column: ColumnDetail) -> Element {
    let changes = changes(&table, &column);
    rsx! {
        Menu { name: "Actions for {column.name}", icon: IconName::Dots, class: "btn-s",
            for (label, sql) in changes {
                MenuItem {
                    key: "{label}",
                    danger: label == DROP,
                    onselect: {
                        let project = project.clone();
                        move |()| open_sql(&project, &sql)
                    },
                    "{label}"
                }
            }
        }
    }
}

const DROP: &str = "Drop column";

/// Returns the changes of a column that the menu offers, each with its statement.
fn changes(table: &str, column: &ColumnDetail) -> Vec<(&'static str, String)> {
    let (table, name) = (quoted(table), quoted(&column.name));
    let alter = format!("alter table {table}\n  alter column {name}");
    let mut changes = vec![
        ("Rename column", format!("alter table {table}\n  rename column {name} to new_name;\n")),
        ("Change type", format!("{alter} type text using {name}::text;\n")),
    ];
    // A generated column and an identity column have no default.
    if column.generated.is_none() && column.identity.is_none() {
        changes.push(("Set default", format!("{alter} set default 'value';\n")));
        if column.default.is_some() {
            changes.push(("Remove default", format!("{alter} drop default;\n")));
        }
    }
    // The columns of a primary key never accept NULL.
    if column.nullable {
        changes.push(("Forbid NULL", format!("{alter} set not null;\n")));
    } else if !column.primary_key {
        changes.push(("Accept NULL", format!("{alter} drop not null;\n")));
    }
    changes.push((DROP, format!("alter table {table}\n  drop column {name};\n")));
    changes
}
