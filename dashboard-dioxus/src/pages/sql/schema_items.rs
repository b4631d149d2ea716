//! The lines of the tree of the schema.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use api_types::{DatabaseSchema, SchemaColumn, SchemaObjects, TableDetail, TableKind};

use super::schema;
use crate::{
    text,
    ui::IconName,
    value::{identifier, short_type},
};

/// A line of the tree.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    /// Identifies the item in the set of open items.
    pub(super) path: String,
    pub(super) level: usize,
    pub(super) icon: Option<IconName>,
    pub(super) label: String,
    /// Type or count, on the right.
    pub(super) note: String,
    /// Text of the tooltip.
    pub(super) title: String,
    /// The text that Enter inserts. `None` for groups.
    pub(super) insert: Option<String>,
    pub(super) is_open: Option<bool>,
    /// Whether the item is a column. Its icon says which key the column is part of.
    pub(super) is_column: bool,
}

/// Facts about tables of `public` that the schema does not contain.
#[derive(Default)]
pub(super) struct Facts {
    /// Estimated numbers of rows.
    pub(super) estimates: HashMap<String, i64>,
    /// Keys of the tables that were opened.
    pub(super) details: HashMap<String, Option<Rc<TableDetail>>>,
}

/// Returns the lines of the tree. With a filter, returns only tables that match by their name or by a column, matching
/// functions and enums, and the schemas and groups that contain them.
pub(super) fn items_of(schema: &DatabaseSchema, facts: &Facts, open: &HashSet<String>, filter: &str) -> Vec<Item> {
    let wanted = filter.to_lowercase();
    let matches = |name: &str| name.to_lowercase().contains(&wanted);
    let mut items = Vec::new();
    // Other schemas than `public` are left out if they are empty.
    let is_empty = |each: &SchemaObjects| each.tables.is_empty() && each.functions.is_empty() && each.enums.is_empty();
    for each in schema.schemas.iter().filter(|each| each.name == "public" || !is_empty(each)) {
        let path = format!("s:{}", each.name);
        let is_open = !filter.is_empty() || open.contains(&path);
        let inside = items_of_schema(each, facts, open, filter, &matches);
        if !filter.is_empty() && inside.is_empty() {
            continue;
        }
        items.push(Item {
            path,
            level: 1,
            icon: None,
            label: each.name.clone(),
            note: text::number(each.tables.len() as i64),
            title: format!("Schema {}", each.name),
            insert: Some(identifier(&each.name)),
            is_open: Some(is_open),
            is_column: false,
        });
        if is_open {
            items.extend(inside);
        }
    }
    items
}

fn items_of_schema(
    each: &SchemaObjects,
    facts: &Facts,
    open: &HashSet<String>,
    filter: &str,
    matches: &impl Fn(&str) -> bool,
) -> Vec<Item> {
    let mut items = Vec::new();
    for table in &each.tables {
        let has_column = !filter.is_empty() && table.columns.iter().any(|column| matches(&column.name));
        if !matches(&table.name) && !has_column {
            continue;
        }
        let path = format!("t:{}.{}", each.name, table.name);
        let is_open = open.contains(&path) || (has_column && !matches(&table.name));
        let is_public = each.name == "public";
        let rows = facts.estimates.get(&table.name).filter(|_| is_public && table.kind == TableKind::Table).copied();
        items.push(Item {
            path: path.clone(),
            level: 2,
            icon: Some(match table.kind {
                TableKind::View | TableKind::MaterializedView => IconName::View,
                _ => IconName::Table,
            }),
            label: table.name.clone(),
            note: match rows {
                Some(rows) => format!("~{}", short_number(rows)),
                None if table.kind == TableKind::Table => String::new(),
                None => schema::kind_name(table.kind).to_owned(),
            },
            title: match rows {
                Some(rows) => format!("table {}, about {}", table.name, text::count(rows, "row", "rows")),
                None => format!("{} {}", schema::kind_name(table.kind), table.name),
            },
            insert: Some(schema::qualified(&each.name, &table.name)),
            is_open: Some(is_open),
            is_column: false,
        });
        if is_open {
            let detail = facts.details.get(&table.name).filter(|_| is_public).and_then(Option::as_deref);
            items.extend(table.columns.iter().map(|column| column_item(&path, column, detail)));
        }
    }
    let functions = each.functions.iter().filter(|function| matches(&function.name)).map(|function| Item {
        path: format!("f:{}.{}({})", each.name, function.name, function.arguments),
        level: 3,
        icon: None,
        label: function.name.clone(),
        note: function.returns.clone().unwrap_or_default(),
        title: format!("{}({})", function.name, function.arguments),
        insert: Some(schema::qualified(&each.name, &function.name)),
        is_open: None,
        is_column: false,
    });
    let enums = each.enums.iter().filter(|kind| matches(&kind.name)).map(|kind| Item {
        path: format!("e:{}.{}", each.name, kind.name),
        level: 3,
        icon: None,
        label: kind.name.clone(),
        note: text::count(kind.values.len() as i64, "value", "values"),
        title: kind.values.join(", "),
        insert: Some(schema::qualified(&each.name, &kind.name)),
        is_open: None,
        is_column: false,
    });
    add_group(&mut items, each, "Functions", IconName::Function, functions.collect(), open, filter);
    add_group(&mut items, each, "Enums", IconName::List, enums.collect(), open, filter);
    items
}

fn column_item(table: &str, column: &SchemaColumn, detail: Option<&TableDetail>) -> Item {
    let is_key = detail.is_some_and(|detail| detail.primary_key.contains(&column.name));
    let foreign = detail.and_then(|detail| detail.foreign_keys.iter().find(|key| key.columns.contains(&column.name)));
    let mut title = format!("{} {}", column.name, column.data_type);
    if is_key {
        title.push_str(", primary key");
    }
    if let Some(key) = foreign {
        title.push_str(&format!(", refers to {}", key.references_table));
    }
    Item {
        path: format!("{table}.{}", column.name),
        level: 3,
        icon: if is_key { Some(IconName::Key) } else { foreign.map(|_| IconName::ForeignKey) },
        label: column.name.clone(),
        note: short_type(&column.data_type),
        title,
        insert: Some(identifier(&column.name)),
        is_open: None,
        is_column: true,
    }
}

/// Returns a number in a few characters: `950`, `12 k`, `3.4 M`.
fn short_number(value: i64) -> String {
    match value {
        ..10_000 => text::number(value),
        10_000..1_000_000 => format!("{} k", value / 1_000),
        _ => format!("{:.1} M", value as f64 / 1e6),
    }
}

fn add_group(
    items: &mut Vec<Item>,
    each: &SchemaObjects,
    name: &str,
    icon: IconName,
    inside: Vec<Item>,
    open: &HashSet<String>,
    filter: &str,
) {
    if inside.is_empty() {
        return;
    }
    let path = format!("g:{}.{name}", each.name);
    let is_open = !filter.is_empty() || open.contains(&path);
    items.push(Item {
        path,
        level: 2,
        icon: Some(icon),
        label: name.to_owned(),
        note: text::number(inside.len() as i64),
        title: name.to_owned(),
        insert: None,
        is_open: Some(is_open),
        is_column: false,
    });
    if is_open {
        items.extend(inside);
    }
}

#[cfg(test)]
mod tests {
    use api_types::SchemaTable;

    use super::*;

    fn example() -> DatabaseSchema {
        let column = |name: &str| SchemaColumn { name: name.to_owned(), data_type: "bigint".to_owned() };
        let table = |name: &str, columns: &[&str]| SchemaTable {
            name: name.to_owned(),
            kind: TableKind::Table,
            columns: columns.iter().map(|name| column(name)).collect(),
        };
        DatabaseSchema {
            schemas: vec![SchemaObjects {
                name: "public".to_owned(),
                tables: vec![table("authors", &["id"]), table("books", &["id", "author_id"])],
                functions: Vec::new(),
                enums: Vec::new(),
            }],
        }
    }

    fn labels(open: &[&str], filter: &str) -> Vec<String> {
        let open = open.iter().map(|path| (*path).to_owned()).collect();
        items_of(&example(), &Facts::default(), &open, filter).into_iter().map(|item| item.label).collect()
    }

    #[test]
    fn tree_shows_open_and_matching_items() {
        assert_eq!(labels(&[], ""), ["public"]);
        assert_eq!(labels(&["s:public"], ""), ["public", "authors", "books"]);
        assert_eq!(labels(&["s:public", "t:public.authors"], ""), ["public", "authors", "id", "books"]);
        assert_eq!(labels(&[], "BOOK"), ["public", "books"]);
        assert_eq!(labels(&[], "author_"), ["public", "books", "id", "author_id"]);
        assert_eq!(labels(&[], "nothing"), Vec::<String>::new());
    }
}
