//! Finds the data and objects that a statement destroys. Reads the parse tree, so comments and strings are ignored.

use std::collections::HashSet;

use api_types::{DestroyAction, Destroyed};
use pg_query::protobuf::{AlterTableType, DropBehavior, ObjectType, OnCommitAction};
use serde_json::Value;

use super::{
    command_tag::object_name,
    syntax_tree::{SyntaxTree, kind_of, names, string_constant},
};

/// Schema and name of an object. The schema is `None` if the statement does not name it.
type QualifiedName = (Option<String>, String);

/// The schema of temporary objects. Postgres searches it first if a name has no schema.
const TEMPORARY: &str = "pg_temp";

/// A kind of object that its name identifies within its schema, or a schema. Other kinds have no class; for example,
/// several functions can have the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ObjectClass {
    /// A table, view, sequence or index.
    Relation,
    /// A type or domain.
    Type,
    Schema,
}

impl ObjectClass {
    /// Returns the class of a [`Destroyed::kind`].
    fn of(kind: &str) -> Option<Self> {
        match kind {
            "table" | "view" | "materialized view" | "foreign table" | "sequence" | "index" => Some(Self::Relation),
            "type" | "domain" => Some(Self::Type),
            "schema" => Some(Self::Schema),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CreatedObject {
    class: ObjectClass,
    schema: String,
    name: String,
}

/// The tables, views, sequences, indexes, types and schemas that a script has created so far. Destroying these needs no
/// confirmation.
#[derive(Debug, Default)]
pub(super) struct CreatedObjects {
    objects: HashSet<CreatedObject>,
    /// Names of the temporary relations that the script may have created, also of those that it has dropped.
    temporary: HashSet<String>,
    /// Whether the script has set the search path. A name without a schema can then be in any schema.
    is_search_path_set: bool,
}

impl CreatedObjects {
    /// Returns the data and objects that a statement destroys, except objects created before it. Then adds the objects
    /// that it creates.
    pub(super) fn destroyed_by(&mut self, tree: &SyntaxTree) -> Vec<Destroyed> {
        let mut found = destroyed(tree);
        found.retain(|destroyed| match self.created_before(destroyed) {
            Some(object) => {
                // After this, the name can refer to an object that existed before the script.
                if destroyed.action == DestroyAction::Drop {
                    self.objects.remove(&object);
                }
                false
            }
            None => true,
        });
        if let Some((kind, node)) = tree.statement() {
            self.is_search_path_set |= sets_search_path(kind, node, tree);
            self.forget_renamed(kind, node);
            self.forget_temporary(kind, tree);
            let is_temporary = self.creates_temporary(kind, node, tree);
            let created = self.created(kind, node, is_temporary);
            self.objects.extend(created);
            if let Some((_, name)) = created_relation(kind, node).and_then(relation_name).filter(|_| is_temporary) {
                self.temporary.insert(name);
            }
        }
        found
    }

    /// Returns whether a statement creates a temporary relation. A view is also temporary if it uses a temporary
    /// relation.
    fn creates_temporary(&self, kind: &str, node: &Value, tree: &SyntaxTree) -> bool {
        let Some(created) = created_relation(kind, node) else { return false };
        let is_temporary_schema = |schema: &str| schema.starts_with(TEMPORARY);
        let mut is_temporary =
            created["relpersistence"] == "t" || created["schemaname"].as_str().is_some_and(is_temporary_schema);
        if kind == "ViewStmt" {
            tree.walk(&mut |field, value| {
                // The field `view` is the name of the view itself.
                if field != "view"
                    && let Some((schema, name)) = relation_name(value)
                {
                    is_temporary |= match schema {
                        Some(schema) => is_temporary_schema(&schema),
                        None => self.temporary.contains(&name),
                    };
                }
            });
        }
        is_temporary
    }

    /// Removes the temporary objects if a statement may drop some that it does not name. Their names can then refer to
    /// other objects.
    fn forget_temporary(&mut self, kind: &str, tree: &SyntaxTree) {
        let mut drops = kind == "DiscardStmt";
        if matches!(kind, "DropStmt" | "AlterTableStmt") {
            let cascade = i64::from(DropBehavior::DropCascade as i32);
            tree.walk(&mut |field, value| drops |= field == "behavior" && value.as_i64() == Some(cascade));
        }
        if drops {
            self.objects.retain(|object| object.schema != TEMPORARY);
        }
    }

    /// Removes a relation that gets another name or schema, because another object can then get its name.
    fn forget_renamed(&mut self, kind: &str, node: &Value) {
        // This field is the name of a renamed column or constraint.
        let is_part = node["subname"].as_str().is_some_and(|part| !part.is_empty());
        if matches!(kind, "RenameStmt" | "AlterObjectSchemaStmt")
            && !is_part
            && let Some((schema, name)) = relation_name(&node["relation"])
            && let Some(object) = self.find(ObjectClass::Relation, schema.as_deref(), &name)
        {
            self.objects.remove(&object);
        }
    }

    fn created_before(&self, destroyed: &Destroyed) -> Option<CreatedObject> {
        self.find(ObjectClass::of(&destroyed.kind)?, destroyed.schema.as_deref(), &destroyed.name)
    }

    /// Returns the created object that a name refers to.
    fn find(&self, class: ObjectClass, schema: Option<&str>, name: &str) -> Option<CreatedObject> {
        let schemas = match schema {
            Some(schema) => vec![schema],
            None if self.is_search_path_set => Vec::new(),
            None => vec![TEMPORARY, "public"],
        };
        schemas
            .into_iter()
            .map(|schema| CreatedObject { class, schema: schema.to_owned(), name: name.to_owned() })
            .find(|object| self.objects.contains(object))
    }

    /// Returns the object that a statement creates. Returns `None` if the object may already exist, as with
    /// `IF NOT EXISTS`, if the commit drops it, or if its schema depends on a search path that the script has set.
    fn created(&self, kind: &str, node: &Value, is_temporary: bool) -> Option<CreatedObject> {
        let drop_at_commit = i64::from(OnCommitAction::OncommitDrop as i32);
        let is_dropped = |action: &Value| action.as_i64() == Some(drop_at_commit);
        if node["if_not_exists"] == true
            || node["replace"] == true
            || is_dropped(&node["oncommit"])
            || is_dropped(&node["into"]["on_commit"])
        {
            return None;
        }
        let relation = |relation: &Value| {
            let (schema, name) = relation_name(relation)?;
            Some((if is_temporary { Some(TEMPORARY.to_owned()) } else { schema }, name))
        };
        let listed = |field: &str| {
            let parts = names(&node[field]);
            let (name, before) = parts.split_last()?;
            Some((before.last().map(|schema| (*schema).to_owned()), (*name).to_owned()))
        };
        let text = |field: &str| node[field].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let (class, (schema, name)) = match kind {
            "IndexStmt" => {
                // An index is in the schema of its table.
                let (schema, table) = relation_name(&node["relation"])?;
                let table = self.find(ObjectClass::Relation, schema.as_deref(), &table);
                (ObjectClass::Relation, (table.map(|table| table.schema).or(schema), text("idxname")?))
            }
            "CompositeTypeStmt" => (ObjectClass::Type, relation(&node["typevar"])?),
            "CreateEnumStmt" | "CreateRangeStmt" => (ObjectClass::Type, listed("type_name")?),
            "CreateDomainStmt" => (ObjectClass::Type, listed("domainname")?),
            "CreateSchemaStmt" => (ObjectClass::Schema, (None, text("schemaname")?)),
            _ => (ObjectClass::Relation, relation(created_relation(kind, node)?)?),
        };
        let schema = match schema {
            Some(schema) => schema,
            None if self.is_search_path_set => return None,
            None => "public".to_owned(),
        };
        Some(CreatedObject { class, schema, name })
    }
}

/// Returns the `RangeVar` of the table, view or sequence that a statement creates.
fn created_relation<'n>(kind: &str, node: &'n Value) -> Option<&'n Value> {
    Some(match kind {
        "CreateStmt" => &node["relation"],
        "CreateForeignTableStmt" => &node["base_stmt"]["relation"],
        "CreateTableAsStmt" => &node["into"]["rel"],
        "SelectStmt" => &node["into_clause"]["rel"],
        "ViewStmt" => &node["view"],
        "CreateSeqStmt" => &node["sequence"],
        _ => return None,
    })
}

/// Returns whether a statement may set the search path: with `SET`, with `set_config`, or by updating `pg_settings`.
fn sets_search_path(kind: &str, node: &Value, tree: &SyntaxTree) -> bool {
    let is_search_path = |name: &str| name.eq_ignore_ascii_case("search_path");
    if kind == "VariableSetStmt" {
        return node["name"].as_str().is_some_and(is_search_path);
    }
    let mut sets = false;
    tree.walk(&mut |field, value| match field {
        "FuncCall" => {
            let is_set_config = names(&value["funcname"]).last() == Some(&"set_config");
            // The name of the setting may be computed, and may follow other named arguments.
            let mut arguments = value["args"].as_array().into_iter().flatten();
            let sets_another = arguments.next().is_some_and(|first| {
                !matches!(kind_of(first), Some(("NamedArgExpr", _)))
                    && string_constant(first).is_some_and(|name| !is_search_path(name))
            });
            sets |= is_set_config && !sets_another;
        }
        "UpdateStmt" | "MergeStmt" => {
            sets |= relation_name(&value["relation"]).is_some_and(|(_, name)| name == "pg_settings");
        }
        _ => {}
    });
    sets
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

/// Returns kind and fields of the nodes of a list.
pub(super) fn list(nodes: &Value) -> impl Iterator<Item = (&str, &Value)> {
    nodes.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(kind_of)
}
