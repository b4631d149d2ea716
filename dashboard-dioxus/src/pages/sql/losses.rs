//! Reads what a statement destroys: the size of each table, and the tables that lose rows with it.

use std::collections::{HashSet, VecDeque};

use api_types::{DestroyAction, Destroyed, ReferenceAction, TableReference, TableSummary};

use super::wire;
use crate::text;

/// The data that is lost with an object.
pub(super) struct Loss {
    /// The size of the table, and the foreign keys that refer to it. Empty for other objects.
    pub(super) fact: String,
    /// A sentence about each other table that loses rows, and its size.
    pub(super) cascaded: Vec<(String, String)>,
}

/// Schema and name of a table.
type TableName = (String, String);

/// Reads what is lost with each object. A table is listed once, even if several statements remove its rows.
pub(super) async fn losses_of(project: &str, destroyed: &[Destroyed]) -> Vec<Loss> {
    let emptied = destroyed.iter().filter(|each| removes_rows(each));
    let mut listed: HashSet<TableName> = emptied.map(|each| (schema_of(each), each.name.clone())).collect();
    let mut losses = Vec::new();
    for each in destroyed {
        let fact = fact_of(project, each).await;
        losses.push(Loss { fact, cascaded: cascaded(project, each, &mut listed).await });
    }
    losses
}

fn removes_rows(destroyed: &Destroyed) -> bool {
    matches!(destroyed.action, DestroyAction::Truncate | DestroyAction::DeleteAll)
}

fn schema_of(destroyed: &Destroyed) -> String {
    destroyed.schema.clone().unwrap_or_else(|| "public".to_owned())
}

/// Returns a sentence about the effect of the statement, with the object's name as the owner wrote it.
pub(super) fn sentence(destroyed: &Destroyed) -> String {
    let name = match &destroyed.schema {
        Some(schema) => format!("{schema}.{}", destroyed.name),
        None => destroyed.name.clone(),
    };
    match destroyed.action {
        DestroyAction::Drop => format!("Drops the {} {name}.", destroyed.kind),
        DestroyAction::DropColumn => {
            format!("Drops the column {} of {name}.", destroyed.column.as_deref().unwrap_or("?"))
        }
        DestroyAction::Truncate => format!("Removes all rows of {name}."),
        DestroyAction::DeleteAll => format!("Deletes all rows of {name}: the statement has no WHERE."),
        DestroyAction::UpdateAll => format!("Changes all rows of {name}: the statement has no WHERE."),
    }
}

/// Returns whether the rows of a referring table are removed too.
fn follows(destroyed: &Destroyed, key: &TableReference) -> bool {
    match destroyed.action {
        DestroyAction::Truncate => destroyed.cascade,
        DestroyAction::DeleteAll => key.on_delete == ReferenceAction::Cascade,
        _ => false,
    }
}

/// Reads which tables lose rows because they refer to a table, directly or through other tables. Adds them to `listed`,
/// and leaves out those that are already in it.
async fn cascaded(project: &str, destroyed: &Destroyed, listed: &mut HashSet<TableName>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if !removes_rows(destroyed) || schema_of(destroyed) != "public" {
        return found;
    }
    let mut names = VecDeque::from([destroyed.name.clone()]);
    while let Some(name) = names.pop_front() {
        let Ok(detail) = wire::table_detail(project, &name).await else {
            found.push((format!("The tables that refer to {name} could not be determined."), String::new()));
            continue;
        };
        for key in detail.referenced_by.iter().filter(|key| follows(destroyed, key)) {
            if !listed.insert((key.schema.clone(), key.table.clone())) {
                continue;
            }
            let is_public = key.schema == "public";
            let table = if is_public { key.table.clone() } else { format!("{}.{}", key.schema, key.table) };
            let sentence = if destroyed.action == DestroyAction::Truncate {
                format!("Also removes all rows of {table}, which refers to {name}.")
            } else {
                format!("Also deletes the rows of {table} that refer to {name}.")
            };
            let size = if is_public { size_of(project, &table).await.unwrap_or_default() } else { String::new() };
            found.push((sentence, size));
            if is_public {
                names.push_back(table);
            }
        }
    }
    found
}

/// Returns the size of a table whose data is destroyed, and the foreign keys that refer to it, as text. Empty for other
/// objects, and for tables outside of `public`.
async fn fact_of(project: &str, destroyed: &Destroyed) -> String {
    let is_table = destroyed.kind.contains("table") || destroyed.kind.contains("view");
    if !is_table || schema_of(destroyed) != "public" {
        return String::new();
    }
    let size = match size_of(project, &destroyed.name).await {
        Ok(size) => size,
        Err(problem) => return problem,
    };
    let is_lost = destroyed.action == DestroyAction::Drop || removes_rows(destroyed);
    // For `TRUNCATE … CASCADE`, the dialog lists the tables that are emptied too instead of the foreign keys.
    let references =
        if is_lost && !destroyed.cascade { references_to(project, &destroyed.name).await } else { Vec::new() };
    if references.is_empty() { size } else { format!("{size} Foreign keys refer to it: {}.", references.join(", ")) }
}

/// Returns the size of a table of `public` as text, or why it is unknown.
async fn size_of(project: &str, name: &str) -> Result<String, String> {
    let Ok(tables) = wire::table_summaries(project, name).await else {
        return Err("Its size could not be determined.".to_owned());
    };
    match tables.into_iter().find(|table| table.name == name) {
        Some(TableSummary { estimated_rows: Some(rows), total_bytes, .. }) => {
            Ok(format!("About {}, {}.", text::count(rows, "row", "rows"), text::bytes(total_bytes)))
        }
        Some(TableSummary { total_bytes, .. }) => {
            Ok(format!("{}; its row count is unknown.", text::bytes(total_bytes)))
        }
        None => Err("This table does not exist.".to_owned()),
    }
}

/// Returns the columns of other tables that refer to a table: `loans.book_id`.
async fn references_to(project: &str, table: &str) -> Vec<String> {
    let Ok(detail) = wire::table_detail(project, table).await else { return Vec::new() };
    let others = detail.referenced_by.into_iter().filter(|key| key.table != table || key.schema != "public");
    others.map(|key| format!("{}.{}", key.table, key.columns.join(", "))).collect()
}
