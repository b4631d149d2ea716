//! Finds the data and objects that a statement destroys. Reads the parse tree, so comments and strings are ignored.

use std::collections::HashSet;

use api_types::{DestroyAction, Destroyed};
use pg_query::protobuf::{AlterTableType, DropBehavior, ObjectType};
use serde_json::Value;

use super::{
    command_tag::object_name,
    syntax_tree::{SyntaxTree, kind_of, names},
};

/// Schema and name of an object.
type QualifiedName = (Option<String>, String);

/// The objects that a script has created so far. Destroying these needs no confirmation.
#[derive(Debug, Default)]
pub(super) struct CreatedObjects(HashSet<QualifiedName>);

impl CreatedObjects {
    /// Returns the data and objects that a statement destroys, except objects created before it. Then adds the objects
    /// that it creates.
    pub(super) fn destroyed_by(&mut self, tree: &SyntaxTree) -> Vec<Destroyed> {
        let mut found = destroyed(tree);
        found.retain(|destroyed| !self.0.contains(&qualified(destroyed.schema.clone(), destroyed.name.clone())));
        if let Some((kind, node)) = tree.statement()
            && let Some(name) = created(kind, node)
        {
            self.0.insert(name);
        }
        found
    }
}

fn qualified(schema: Option<String>, name: String) -> QualifiedName {
    (schema.filter(|schema| schema != "public"), name)
}

fn destroyed(tree: &SyntaxTree) -> Vec<Destroyed> {
    let Some((kind, node)) = tree.statement() else { return Vec::new() };
    match kind {
        "DropStmt" => dropped(node),
        "TruncateStmt" => {
            let cascade = node["behavior"].as_i64() == Some(i64::from(DropBehavior::DropCascade as i32));
            list(&node["relations"])
                .filter_map(|(_, relation)| relation_destroyed(DestroyAction::Truncate, "table", relation))
                .map(|table| Destroyed { cascade, ..table })
                .collect()
        }
        "AlterTableStmt" => dropped_columns(node),
        // Statements inside a definition do not run.
        "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" | "CreateTableAsStmt"
        | "ExplainStmt" => {
            let mut found = Vec::new();
            tree.walk(&mut |name, fields| {
                let action = match name {
                    "DeleteStmt" => DestroyAction::DeleteAll,
                    "UpdateStmt" => DestroyAction::UpdateAll,
                    _ => return,
                };
                if fields["where_clause"].is_null() {
                    found.extend(relation_destroyed(action, "table", &fields["relation"]));
                }
            });
            found
        }
        _ => Vec::new(),
    }
}

pub(super) fn dropped(drop: &Value) -> Vec<Destroyed> {
    let object = drop["remove_type"].as_i64().and_then(|number| ObjectType::try_from(number as i32).ok());
    let kind = object.map_or_else(String::new, object_name).to_lowercase();
    // The qualified names of these objects contain the name of their table before their own name.
    let is_part_of_table =
        matches!(object, Some(ObjectType::ObjectTrigger | ObjectType::ObjectPolicy | ObjectType::ObjectRule));
    list(&drop["objects"])
        .filter_map(|(node_kind, node)| {
            let parts: Vec<&str> = match node_kind {
                "List" => names(&node["items"]),
                "TypeName" => names(&node["names"]),
                "ObjectWithArgs" => names(&node["objname"]),
                "String" => vec![node["sval"].as_str()?],
                _ => return None,
            };
            let (name, before) = parts.split_last()?;
            let schema = before.last().filter(|_| !is_part_of_table).map(|schema| (*schema).to_owned());
            Some(Destroyed {
                action: DestroyAction::Drop,
                kind: kind.clone(),
                schema,
                name: (*name).to_owned(),
                column: None,
                cascade: false,
            })
        })
        .collect()
}

fn dropped_columns(alter: &Value) -> Vec<Destroyed> {
    let drop_column = i64::from(AlterTableType::AtDropColumn as i32);
    list(&alter["cmds"])
        .filter(|(_, command)| command["subtype"].as_i64() == Some(drop_column))
        .filter_map(|(_, command)| {
            let table = relation_destroyed(DestroyAction::DropColumn, "table", &alter["relation"])?;
            Some(Destroyed { column: command["name"].as_str().map(str::to_owned), ..table })
        })
        .collect()
}

fn relation_destroyed(action: DestroyAction, kind: &str, relation: &Value) -> Option<Destroyed> {
    let (schema, name) = relation_name(relation)?;
    Some(Destroyed { action, kind: kind.to_owned(), schema, name, column: None, cascade: false })
}

/// Returns the name in a `RangeVar`.
pub(super) fn relation_name(relation: &Value) -> Option<QualifiedName> {
    let name = relation["relname"].as_str().filter(|name| !name.is_empty())?;
    let schema = relation["schemaname"].as_str().filter(|schema| !schema.is_empty());
    Some((schema.map(str::to_owned), name.to_owned()))
}

/// Returns the name of the object that a statement creates. Returns `None` if the object may already exist, as with
/// `IF NOT EXISTS`.
fn created(kind: &str, node: &Value) -> Option<QualifiedName> {
    if node["if_not_exists"] == true || node["replace"] == true {
        return None;
    }
    let relation = |field: &str| relation_name(&node[field]);
    let listed = |field: &str| {
        let parts = names(&node[field]);
        let (name, before) = parts.split_last()?;
        Some((before.last().map(|schema| (*schema).to_owned()), (*name).to_owned()))
    };
    let (schema, name) = match kind {
        "CreateStmt" => relation("relation")?,
        "CreateForeignTableStmt" => relation_name(&node["base_stmt"]["relation"])?,
        "CreateTableAsStmt" => relation_name(&node["into"]["rel"])?,
        "SelectStmt" => relation_name(&node["into_clause"]["rel"])?,
        "ViewStmt" => relation("view")?,
        "CreateSeqStmt" => relation("sequence")?,
        "CompositeTypeStmt" => relation("typevar")?,
        "CreateEnumStmt" | "CreateRangeStmt" => listed("type_name")?,
        "CreateDomainStmt" => listed("domainname")?,
        "CreateFunctionStmt" => listed("funcname")?,
        "IndexStmt" => (None, node["idxname"].as_str()?.to_owned()),
        "CreateSchemaStmt" => (None, node["schemaname"].as_str()?.to_owned()),
        _ => return None,
    };
    Some(qualified(schema, name))
}

/// Returns kind and fields of the nodes of a list.
pub(super) fn list(nodes: &Value) -> impl Iterator<Item = (&str, &Value)> {
    nodes.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(kind_of)
}
