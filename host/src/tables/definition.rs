//! Writes the SQL that creates a table or view.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
};

use api_types::{ColumnDetail, IdentityKind, PolicyCommand, TableKind, TablePolicy};
use postgres_protocol::escape::{escape_identifier as quoted, escape_literal};
use serde::Deserialize;

use super::{access::AccessFacts, detail::CatalogueTable};

/// Parts of a definition that are read from Postgres's catalogue.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Source {
    unlogged: bool,
    /// The query of a view.
    view: Option<String>,
    /// Storage parameters, and the options of a view.
    options: Option<String>,
    /// Quoted name of the partitioned table, and the bounds of this partition.
    partition_of: Option<String>,
    partition_key: Option<String>,
    /// Quoted name of a foreign table's server.
    server: Option<String>,
    /// Quoted collations, where they differ from those of the columns' types.
    collations: HashMap<String, String>,
    /// Generated columns that are not stored.
    virtual_columns: Vec<String>,
    /// Columns that are `NOT NULL` themselves, not only by their domain.
    not_null: HashSet<String>,
    foreign_keys: Vec<NamedConstraint>,
}

#[derive(Debug, Deserialize)]
struct NamedConstraint {
    name: String,
    definition: String,
}

/// Returns the statements that create a table with its indexes, policies, triggers and comments. Types, functions and
/// sequences that it uses, and grants, are not included.
pub(super) fn definition(table: &CatalogueTable, facts: &AccessFacts) -> String {
    let name = format!("public.{}", quoted(&table.name));
    let mut sql = match &table.source.view {
        Some(query) => view(table, &name, query),
        None => create_table(table, &name),
    };
    // Writing to a String can't fail.
    for index in table.indexes.iter().filter(|index| index.constraint.is_none()) {
        let _ = write!(sql, "\n{};\n", index.definition);
    }
    if facts.row_level_security {
        let _ = write!(sql, "\nALTER TABLE {name} ENABLE ROW LEVEL SECURITY;\n");
    }
    if table.force_row_level_security {
        let _ = write!(sql, "\nALTER TABLE {name} FORCE ROW LEVEL SECURITY;\n");
    }
    for policy in &facts.policies {
        let _ = write!(sql, "\n{};\n", create_policy(policy, &name));
    }
    for trigger in &table.triggers {
        let _ = write!(sql, "\n{};\n", trigger.definition);
    }
    if let Some(comment) = &table.comment {
        let kind = match table.kind {
            TableKind::Table => "TABLE",
            TableKind::View => "VIEW",
            TableKind::MaterializedView => "MATERIALIZED VIEW",
            TableKind::ForeignTable => "FOREIGN TABLE",
        };
        let _ = write!(sql, "\nCOMMENT ON {kind} {name} IS {};\n", literal(comment));
    }
    for column in &table.columns {
        if let Some(comment) = &column.comment {
            let _ = write!(sql, "\nCOMMENT ON COLUMN {name}.{} IS {};\n", quoted(&column.name), literal(comment));
        }
    }
    sql
}

fn view(table: &CatalogueTable, name: &str, query: &str) -> String {
    let kind = if table.kind == TableKind::MaterializedView { "MATERIALIZED VIEW" } else { "VIEW" };
    let options = table.source.options.as_ref().map(|options| format!(" WITH ({options})")).unwrap_or_default();
    format!("CREATE {kind} {name}{options} AS\n{};\n", query.trim_end().trim_end_matches(';'))
}

fn create_table(table: &CatalogueTable, name: &str) -> String {
    let source = &table.source;
    let unlogged = if source.unlogged { "UNLOGGED " } else { "" };
    let foreign = if table.kind == TableKind::ForeignTable { "FOREIGN " } else { "" };
    let mut parts: Vec<String> = table.columns.iter().map(|column| column_definition(column, source)).collect();
    let constraints = table.constraints.iter().map(|constraint| (&constraint.name, &constraint.definition));
    let foreign_keys = source.foreign_keys.iter().map(|key| (&key.name, &key.definition));
    parts.extend(
        constraints.chain(foreign_keys).map(|(name, definition)| format!("CONSTRAINT {} {definition}", quoted(name))),
    );
    let mut sql = format!("CREATE {unlogged}{foreign}TABLE {name} ");
    // Writing to a String can't fail.
    match &source.partition_of {
        Some(parent_and_bounds) => {
            let _ = write!(sql, "PARTITION OF {parent_and_bounds}");
        }
        None if parts.is_empty() => sql.push_str("()"),
        None => {
            let _ = write!(sql, "(\n    {}\n)", parts.join(",\n    "));
        }
    }
    if let Some(key) = &source.partition_key {
        let _ = write!(sql, " PARTITION BY {key}");
    }
    if let Some(server) = &source.server {
        let _ = write!(sql, " SERVER {server}");
    }
    if let Some(options) = &source.options {
        let _ = write!(sql, " WITH ({options})");
    }
    sql.push_str(";\n");
    sql
}

fn column_definition(column: &ColumnDetail, source: &Source) -> String {
    let mut sql = format!("{} {}", quoted(&column.name), column.data_type);
    // Writing to a String can't fail.
    if let Some(collation) = source.collations.get(&column.name) {
        let _ = write!(sql, " COLLATE {collation}");
    }
    if let Some(expression) = &column.generated {
        let storage = if source.virtual_columns.contains(&column.name) { "VIRTUAL" } else { "STORED" };
        let _ = write!(sql, " GENERATED ALWAYS AS ({expression}) {storage}");
    }
    if let Some(identity) = column.identity {
        sql.push_str(match identity {
            IdentityKind::Always => " GENERATED ALWAYS AS IDENTITY",
            IdentityKind::ByDefault => " GENERATED BY DEFAULT AS IDENTITY",
        });
    }
    if let Some(default) = &column.default {
        let _ = write!(sql, " DEFAULT {default}");
    }
    if source.not_null.contains(&column.name) {
        sql.push_str(" NOT NULL");
    }
    sql
}

fn create_policy(policy: &TablePolicy, table: &str) -> String {
    let mut sql = format!("CREATE POLICY {} ON {table}", quoted(&policy.name));
    if !policy.permissive {
        sql.push_str(" AS RESTRICTIVE");
    }
    sql.push_str(match policy.command {
        PolicyCommand::All => "",
        PolicyCommand::Select => " FOR SELECT",
        PolicyCommand::Insert => " FOR INSERT",
        PolicyCommand::Update => " FOR UPDATE",
        PolicyCommand::Delete => " FOR DELETE",
    });
    let role = |role: &String| if role == "public" { "PUBLIC".to_owned() } else { quoted(role) };
    // Writing to a String can't fail.
    let _ = write!(sql, " TO {}", policy.roles.iter().map(role).collect::<Vec<_>>().join(", "));
    if let Some(using) = &policy.using {
        let _ = write!(sql, " USING ({using})");
    }
    if let Some(check) = &policy.check {
        let _ = write!(sql, " WITH CHECK ({check})");
    }
    sql
}

fn literal(text: &str) -> String {
    escape_literal(text).trim_start().to_owned()
}
