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
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Item {
    /// Identifies the item. Two items never have the same path.
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
    /// Whether the lines inside are shown. `None` if the item can't contain lines.
    pub(super) is_open: Option<bool>,
    /// Whether the item stays open because the filter matches a line in it.
    pub(super) is_kept_open: bool,
    /// Whether the item is a column. Its icon says which key the column is part of.
    pub(super) is_column: bool,
    /// For a column of a table of `public`: the table, whose details determine the icon.
    pub(super) needed_table: Option<String>,
}

impl Item {
    /// Returns whether the item is open and can be closed.
    pub(super) fn can_close(&self) -> bool {
        self.is_open == Some(true) && !self.is_kept_open
    }
}

/// Opens or closes an item, if it can be opened or closed. `open` contains the paths of open items.
pub(super) fn toggle(open: &mut HashSet<String>, item: &Item) {
    if item.can_close() {
        open.remove(&item.path);
    } else if item.is_open == Some(false) {
        open.insert(item.path.clone());
    }
}

/// Facts about tables of `public` that the schema does not contain.
#[derive(Default)]
pub(super) struct Facts {
    /// Estimated numbers of rows.
    pub(super) estimates: HashMap<String, i64>,
    /// Details of tables, by name, for their primary and foreign keys. `None` until they are read, or if that failed.
    pub(super) details: HashMap<String, Option<Rc<TableDetail>>>,
}

/// Returns whether `public` exists, and contains no tables, functions or enums.
pub(super) fn is_public_empty(schema: &DatabaseSchema) -> bool {
    schema.schemas.iter().any(|each| each.name == "public" && is_empty(each))
}

fn is_empty(each: &SchemaObjects) -> bool {
    each.tables.is_empty() && each.functions.is_empty() && each.enums.is_empty()
}

/// Returns the path of a table, function, enum or group. The quotes of names make it unique: without them, the table
/// `b.c` of the schema `a` would have the same path as the table `c` of the schema `a.b`.
fn path_of(kind: char, schema: &str, name: &str) -> String {
    format!("{kind}:{}.{}", identifier(schema), identifier(name))
}

/// Returns the lines of the tree. With a filter, returns only tables that match by their name or by a column, matching
/// functions and enums, and the schemas and groups that contain them.
pub(super) fn items_of(schema: &DatabaseSchema, facts: &Facts, open: &HashSet<String>, filter: &str) -> Vec<Item> {
    let wanted = filter.to_lowercase();
    let matches = |name: &str| name.to_lowercase().contains(&wanted);
    let mut items = Vec::new();
    // Other schemas than `public` are left out if they are empty.
    for each in schema.schemas.iter().filter(|each| each.name == "public" || !is_empty(each)) {
        let path = format!("s:{}", identifier(&each.name));
        let is_kept_open = !filter.is_empty();
        let is_open = is_kept_open || open.contains(&path);
        let inside = items_of_schema(each, facts, open, filter, &matches);
        if !filter.is_empty() && inside.is_empty() {
            continue;
        }
        items.push(Item {
            path,
            level: 1,
            label: each.name.clone(),
            note: text::number(each.tables.len() as i64),
            title: format!("Schema {}", each.name),
            insert: Some(identifier(&each.name)),
            is_open: Some(is_open),
            is_kept_open,
            ..Item::default()
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
        let path = path_of('t', &each.name, &table.name);
        let is_kept_open = has_column && !matches(&table.name);
        let is_open = is_kept_open || open.contains(&path);
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
            is_kept_open,
            ..Item::default()
        });
        if is_open {
            let detail = facts.details.get(&table.name).filter(|_| is_public).and_then(Option::as_deref);
            let needed_table = is_public.then_some(table.name.as_str());
            items.extend(table.columns.iter().map(|column| column_item(&path, needed_table, column, detail)));
        }
    }
    let functions = each.functions.iter().filter(|function| matches(&function.name)).map(|function| Item {
        path: format!("{}({})", path_of('f', &each.name, &function.name), function.arguments),
        level: 3,
        label: function.name.clone(),
        note: function.returns.clone().unwrap_or_default(),
        title: format!("{}({})", function.name, function.arguments),
        insert: Some(schema::qualified(&each.name, &function.name)),
        ..Item::default()
    });
    let enums = each.enums.iter().filter(|kind| matches(&kind.name)).map(|kind| Item {
        path: path_of('e', &each.name, &kind.name),
        level: 3,
        label: kind.name.clone(),
        note: text::count(kind.values.len() as i64, "value", "values"),
        title: kind.values.join(", "),
        insert: Some(schema::qualified(&each.name, &kind.name)),
        ..Item::default()
    });
    add_group(&mut items, each, "Functions", IconName::Function, functions.collect(), open, filter);
    add_group(&mut items, each, "Enums", IconName::List, enums.collect(), open, filter);
    items
}

fn column_item(
    table_path: &str,
    needed_table: Option<&str>,
    column: &SchemaColumn,
    detail: Option<&TableDetail>,
) -> Item {
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
        path: format!("{table_path}.{}", identifier(&column.name)),
        level: 3,
        icon: if is_key { Some(IconName::Key) } else { foreign.map(|_| IconName::ForeignKey) },
        label: column.name.clone(),
        note: short_type(&column.data_type),
        title,
        insert: Some(identifier(&column.name)),
        is_column: true,
        needed_table: needed_table.map(str::to_owned),
        ..Item::default()
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
    let path = path_of('g', &each.name, name);
    let is_kept_open = !filter.is_empty();
    let is_open = is_kept_open || open.contains(&path);
    items.push(Item {
        path,
        level: 2,
        icon: Some(icon),
        label: name.to_owned(),
        note: text::number(inside.len() as i64),
        title: name.to_owned(),
        is_open: Some(is_open),
        is_kept_open,
        ..Item::default()
    });
    if is_open {
        items.extend(inside);
    }
}

#[cfg(test)]
mod tests {
    use api_types::SchemaTable;

    use super::*;

    fn table(name: &str, columns: &[&str]) -> SchemaTable {
        let column = |name: &&str| SchemaColumn { name: (*name).to_owned(), data_type: "bigint".to_owned() };
        SchemaTable { name: name.to_owned(), kind: TableKind::Table, columns: columns.iter().map(column).collect() }
    }

    fn objects(name: &str, tables: Vec<SchemaTable>) -> SchemaObjects {
        SchemaObjects { name: name.to_owned(), tables, functions: Vec::new(), enums: Vec::new() }
    }

    fn example() -> DatabaseSchema {
        let tables = vec![table("authors", &["id"]), table("books", &["id", "author_id"])];
        DatabaseSchema { schemas: vec![objects("public", tables)] }
    }

    fn items(open: &[&str], filter: &str) -> Vec<Item> {
        let open = open.iter().map(|path| (*path).to_owned()).collect();
        items_of(&example(), &Facts::default(), &open, filter)
    }

    fn labels(open: &[&str], filter: &str) -> Vec<String> {
        items(open, filter).into_iter().map(|item| item.label).collect()
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

    #[test]
    fn columns_need_the_details_of_their_table() {
        let needed = |open: &[&str], filter: &str| -> Vec<Option<String>> {
            items(open, filter).into_iter().map(|item| item.needed_table).collect()
        };
        let books = || Some("books".to_owned());
        assert_eq!(needed(&["s:public", "t:public.books"], ""), [None, None, None, books(), books()]);
        assert_eq!(needed(&[], "author_"), [None, None, books(), books()]);
        assert!(needed(&["s:public"], "book").iter().all(Option::is_none));
    }

    #[test]
    fn only_items_that_can_be_opened_or_closed_are_toggled() {
        let toggled = |open: &[&str], filter: &str, label: &str| {
            let items = items(open, filter);
            let item = items.iter().find(|item| item.label == label).unwrap();
            let mut open: HashSet<String> = open.iter().map(|path| (*path).to_owned()).collect();
            toggle(&mut open, item);
            let mut open: Vec<String> = open.into_iter().collect();
            open.sort();
            open
        };
        assert_eq!(toggled(&["s:public"], "", "books"), ["s:public", "t:public.books"]);
        assert_eq!(toggled(&["s:public", "t:public.books"], "", "books"), ["s:public"]);
        assert_eq!(toggled(&["s:public", "t:public.books"], "", "author_id"), ["s:public", "t:public.books"]);
        // The filter keeps these items open.
        assert_eq!(toggled(&["s:public"], "author_", "public"), ["s:public"]);
        assert_eq!(toggled(&[], "author_", "public"), Vec::<String>::new());
        assert_eq!(toggled(&["t:public.books"], "author_", "books"), ["t:public.books"]);
        // A table whose name matches can still be opened and closed.
        assert_eq!(toggled(&[], "book", "books"), ["t:public.books"]);
        assert_eq!(toggled(&["t:public.books"], "book", "books"), Vec::<String>::new());
    }

    #[test]
    fn paths_are_unique_for_names_with_dots() {
        let schemas = vec![
            objects("public", Vec::new()),
            objects("a", vec![table("b.c", &["d"]), table("b", &["c.d", "c"])]),
            objects("a.b", vec![table("c", &["d"])]),
        ];
        let schema = DatabaseSchema { schemas };
        let mut open = HashSet::new();
        // Opens the schemas, then the tables.
        for _ in 0..2 {
            let closed = items_of(&schema, &Facts::default(), &open, "");
            open.extend(closed.into_iter().filter(|item| item.is_open.is_some()).map(|item| item.path));
        }
        let items = items_of(&schema, &Facts::default(), &open, "");
        let paths: HashSet<&str> = items.iter().map(|item| item.path.as_str()).collect();
        assert_eq!((items.len(), paths.len()), (10, 10), "{paths:?}");
    }

    #[test]
    fn only_public_counts_as_empty() {
        assert!(!is_public_empty(&example()));
        let auth = objects("auth", vec![table("users", &["id"])]);
        assert!(is_public_empty(&DatabaseSchema { schemas: vec![objects("public", Vec::new()), auth] }));
    }
}
