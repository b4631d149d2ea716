//! Postgres's parse tree as JSON, so that every node can be visited in the same way.
//!
//! The typed tree's iterator skips whole clauses (`LIMIT`, column defaults, function bodies). In JSON every field of
//! every node is a member of an object, so nothing is skipped.

use serde_json::Value;

/// A parse tree.
pub(super) struct SyntaxTree(pub(super) Value);

impl SyntaxTree {
    /// Returns kind and fields of the first statement.
    pub(super) fn statement(&self) -> Option<(&str, &Value)> {
        kind_of(&self.0["stmts"][0]["stmt"])
    }

    /// Calls `visit` with the name and value of every node, and of every field that is not null.
    pub(super) fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a str, &'a Value)) {
        walk(&self.0, visit);
    }

    /// Returns whether any part of the statement changes rows, for example in a `WITH`.
    pub(super) fn writes_data(&self) -> bool {
        let mut writes = false;
        self.walk(&mut |name, _| {
            writes |= matches!(name, "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt");
        });
        writes
    }

    /// Returns whether any part of the statement locks rows, as `FOR UPDATE` does.
    pub(super) fn locks_rows(&self) -> bool {
        let mut locks = false;
        self.walk(&mut |name, _| locks |= name == "LockingClause");
        locks
    }
}

fn walk<'a>(value: &'a Value, visit: &mut impl FnMut(&'a str, &'a Value)) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if !field.is_null() {
                    visit(name, field);
                    walk(field, visit);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        _ => {}
    }
}

/// Returns kind and fields of a node, which has the form `{"node": {"<kind>": {…}}}`.
pub(super) fn kind_of(node: &Value) -> Option<(&str, &Value)> {
    node["node"].as_object()?.iter().next().map(|(kind, fields)| (kind.as_str(), fields))
}

/// Returns the parts of a qualified name: two for `pg_catalog.pg_sleep`.
pub(super) fn names(list: &Value) -> Vec<&str> {
    list.as_array()
        .map(|items| items.iter().filter_map(|item| kind_of(item)?.1["sval"].as_str()).collect())
        .unwrap_or_default()
}

/// Returns the value of a string literal, also inside a cast or a named argument.
pub(super) fn string_constant(node: &Value) -> Option<&str> {
    match kind_of(node)? {
        ("AConst", constant) => constant["val"]["Sval"]["sval"].as_str(),
        ("TypeCast", cast) => string_constant(&cast["arg"]),
        ("NamedArgExpr", argument) => string_constant(&argument["arg"]),
        _ => None,
    }
}
