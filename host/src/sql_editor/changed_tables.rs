//! Finds the tables that a statement changes, for the audit log. The log contains no SQL, because SQL may contain
//! secrets. This module only reads the parse tree, so it does not find tables that triggers, functions and cascades
//! change.

use serde_json::Value;

use super::{
    destroys::{dropped, list, relation_name},
    syntax_tree::{SyntaxTree, names},
};

/// Maximum number of tables that are named.
const MAX_TABLES: usize = 20;
/// Fields of a statement that contain the table that it creates or changes.
const TABLE_FIELDS: [&str; 3] = ["relation", "table", "view"];
/// Fields of a statement that contain a list of tables, or of other objects.
const LIST_FIELDS: [&str; 2] = ["relations", "objects"];

/// Returns the names of the tables and views that a statement creates, changes or drops, for example `app.books`, at
/// most [`MAX_TABLES`]. The schema is left out if the statement does not name it.
pub(super) fn changed_tables(tree: &SyntaxTree) -> Vec<String> {
    let Some((kind, node)) = tree.statement() else { return Vec::new() };
    let mut tables = match kind {
        "DropStmt" => dropped_tables(node),
        _ => named_tables(node),
    };
    // Statements inside a definition do not run.
    if matches!(
        kind,
        "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" | "CreateTableAsStmt" | "ExplainStmt"
    ) {
        tree.walk(&mut |name, fields| {
            if matches!(name, "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt") {
                tables.extend(table_name(&fields["relation"]));
            }
        });
    }
    distinct(tables)
}

/// Returns the names without repetitions, at most [`MAX_TABLES`].
pub(super) fn distinct(names: Vec<String>) -> Vec<String> {
    let mut distinct = Vec::new();
    for name in names {
        if distinct.len() < MAX_TABLES && !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}

fn named_tables(node: &Value) -> Vec<String> {
    let single = TABLE_FIELDS.iter().map(|field| &node[*field]);
    let created = [&node["into"]["rel"], &node["into_clause"]["rel"], &node["base_stmt"]["relation"]];
    let mut tables: Vec<String> = single.chain(created).filter_map(table_name).collect();
    for field in LIST_FIELDS {
        tables.extend(
            list(&node[field]).filter(|(kind, _)| *kind == "RangeVar").filter_map(|(_, table)| table_name(table)),
        );
    }
    tables
}

/// Returns the tables and views that are dropped, and the table of a dropped policy, trigger or rule.
fn dropped_tables(drop: &Value) -> Vec<String> {
    let of_table = |kind: &str| matches!(kind, "policy" | "trigger" | "rule");
    let parts = list(&drop["objects"]).map(|(_, object)| names(&object["items"]));
    let objects = dropped(drop);
    objects
        .into_iter()
        .zip(parts)
        .filter_map(|(object, parts)| match object.kind.as_str() {
            "table" | "view" | "materialized view" | "foreign table" => Some(joined(object.schema, object.name)),
            kind if of_table(kind) => parts.split_last().map(|(_, table)| table.join(".")),
            _ => None,
        })
        .collect()
}

fn table_name(relation: &Value) -> Option<String> {
    let (schema, name) = relation_name(relation)?;
    Some(joined(schema, name))
}

fn joined(schema: Option<String>, name: String) -> String {
    match schema {
        Some(schema) => format!("{schema}.{name}"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{restrictions::Permissions, statement::parse_statement};

    #[test]
    fn created_changed_and_dropped_tables_are_named() {
        for (sql, expected) in [
            ("truncate books, app.authors cascade", vec!["books", "app.authors"]),
            ("drop table books, app.authors", vec!["books", "app.authors"]),
            ("drop policy mine on app.books", vec!["app.books"]),
            ("drop function f(int)", vec![]),
            ("create table books (id int references authors)", vec!["books"]),
            ("create table copied as select * from books", vec!["copied"]),
            ("select 1 into copied", vec!["copied"]),
            ("create view cheap as select * from books", vec!["cheap"]),
            ("alter table app.books add column price int", vec!["app.books"]),
            ("create policy mine on books using (true)", vec!["books"]),
            ("grant select on books, authors to app", vec!["books", "authors"]),
            ("insert into books select * from drafts", vec!["books"]),
            (
                "with old as (delete from drafts returning *) insert into books select * from old",
                vec!["books", "drafts"],
            ),
            ("explain analyze delete from books", vec!["books"]),
            ("explain delete from books", vec![]),
            ("select * from books", vec![]),
            ("create function f() returns void language sql begin atomic delete from books; end", vec![]),
        ] {
            let statement = parse_statement(sql, Permissions::default()).unwrap();
            assert_eq!(statement.tables, expected, "{sql}");
        }
    }
}
