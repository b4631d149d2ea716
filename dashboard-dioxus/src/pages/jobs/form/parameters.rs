//! Builds the fields of a form from the JSON Schema of a plugin's job, and converts between their texts and JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Maximum depth of nested schemas that become fields. Deeper values are edited as JSON.
const MAX_DEPTH: usize = 4;

/// The JSON Schema pattern of parameters that name a database, or all databases.
const TARGET_PATTERN: &str = "^(all|platform|project:[a-z0-9]+)$";

/// A field, or a group of fields.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Field(Parameter),
    Group { label: String, help: String, is_required: bool, nodes: Vec<Node> },
}

/// A parameter that is edited in a field.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parameter {
    /// JSON pointer.
    pub(super) pointer: String,
    pub(super) label: String,
    pub(super) help: String,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
    /// The default, as text.
    pub(super) default: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Text,
    Number,
    /// Yes or no.
    Flag,
    /// One of these JSON values.
    Choice(Vec<Value>),
    /// A database, or all of them.
    Target,
    /// Strings, one per line.
    Lines,
    /// Any JSON.
    Json,
}

/// Returns the fields of a schema.
pub(super) fn nodes(schema: &Value) -> Vec<Node> {
    properties(schema, schema, "", 0)
}

fn properties(root: &Value, schema: &Value, pointer: &str, depth: usize) -> Vec<Node> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Vec::new() };
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let mut nodes: Vec<Node> = properties
        .iter()
        .map(|(name, property)| {
            let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            node(root, property, pointer, name, required.contains(&name.as_str()), depth)
        })
        .collect();
    nodes.sort_by_key(|node| match node {
        Node::Field(Parameter { is_required, .. }) | Node::Group { is_required, .. } => !is_required,
    });
    nodes
}

fn node(root: &Value, property: &Value, pointer: String, name: &str, is_required: bool, depth: usize) -> Node {
    let schema = resolved(root, property);
    let text = |key: &str| {
        property.get(key).or_else(|| schema.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let title = text("title");
    // Schemas that are generated from types have the type's name as title.
    let label = if title.is_empty() || title.starts_with(char::is_uppercase) && !title.contains(' ') {
        in_words(name)
    } else {
        title
    };
    let help = text("description");
    if schema.get("properties").is_some() && depth < MAX_DEPTH {
        let mut nodes = properties(root, schema, &pointer, depth + 1);
        if !is_required {
            clear_zero_defaults(&mut nodes);
        }
        return Node::Group { label, help, is_required, nodes };
    }
    let default = property.get("default").filter(|default| !default.is_null()).map(as_text).unwrap_or_default();
    Node::Field(Parameter { pointer, label, help, kind: kind(schema), is_required, default })
}

/// Clears the default 0 of numbers in an optional group. Such a default only applies if another field of the group is
/// set, so `0` in an empty field would be misleading. For example, a retention policy without rules keeps all backups.
fn clear_zero_defaults(nodes: &mut [Node]) {
    for node in nodes {
        if let Node::Field(Parameter { kind: Kind::Number, default, .. }) = node
            && default == "0"
        {
            default.clear();
        }
    }
}

/// Resolves references, and alternatives of which only one is not `null`.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..MAX_DEPTH * 2 {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let Some(target) = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) else {
                return schema;
            };
            schema = target;
            continue;
        }
        let alternatives = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| schema.get(key)?.as_array());
        let Some(alternatives) = alternatives else { return schema };
        let mut others = alternatives.iter().filter(|other| other.get("type").and_then(Value::as_str) != Some("null"));
        match (others.next(), others.next()) {
            (Some(only), None) => schema = only,
            _ => return schema,
        }
    }
    schema
}

fn kind(schema: &Value) -> Kind {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return Kind::Choice(values.iter().filter(|value| !value.is_null()).cloned().collect());
    }
    if let Some(alternatives) = schema.get("oneOf").and_then(Value::as_array) {
        let values: Option<Vec<Value>> = alternatives.iter().map(|other| other.get("const").cloned()).collect();
        if let Some(values) = values {
            return Kind::Choice(values);
        }
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect(),
        _ => Vec::new(),
    };
    match types.as_slice() {
        ["string"] if schema.get("pattern").and_then(Value::as_str) == Some(TARGET_PATTERN) => Kind::Target,
        ["string"] => Kind::Text,
        ["integer" | "number"] => Kind::Number,
        ["boolean"] => Kind::Flag,
        ["array"] if schema.pointer("/items/type").and_then(Value::as_str) == Some("string") => Kind::Lines,
        _ => Kind::Json,
    }
}

/// Returns whether one of the fields edits the parameter with this JSON pointer.
pub(super) fn has_field(nodes: &[Node], pointer: &str) -> bool {
    fields(nodes).iter().any(|field| field.pointer == pointer)
}

/// Returns the parameters of a JSON value as the texts of the fields.
pub(super) fn read(nodes: &[Node], parameters: &Value) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for field in fields(nodes) {
        match parameters.pointer(&field.pointer) {
            None | Some(Value::Null) => {}
            Some(value) => drop(texts.insert(field.pointer.clone(), text_of(&field.kind, value))),
        }
    }
    texts
}

/// Parses the texts of the fields into parameters. Keeps stored parameters that have no field.
///
/// # Errors
/// Returns messages about the fields with invalid text, by JSON pointer.
pub(super) fn build(
    nodes: &[Node],
    texts: &BTreeMap<String, String>,
    stored: &Value,
) -> Result<Value, BTreeMap<String, String>> {
    let mut parameters = if stored.is_object() { stored.clone() } else { Value::Object(Map::new()) };
    let mut errors = BTreeMap::new();
    for field in fields(nodes) {
        let text = texts.get(&field.pointer).map(String::as_str).unwrap_or_default();
        match value_of(&field.kind, text) {
            Ok(value) => put(&mut parameters, &field.pointer, value),
            Err(problem) => drop(errors.insert(field.pointer.clone(), problem)),
        }
    }
    if errors.is_empty() { Ok(parameters) } else { Err(errors) }
}

fn fields(nodes: &[Node]) -> Vec<&Parameter> {
    let mut found = Vec::new();
    for node in nodes {
        match node {
            Node::Field(field) => found.push(field),
            Node::Group { nodes, .. } => found.extend(fields(nodes)),
        }
    }
    found
}

fn text_of(kind: &Kind, value: &Value) -> String {
    match (kind, value) {
        (Kind::Lines, Value::Array(lines)) => lines.iter().map(as_text).collect::<Vec<_>>().join("\n"),
        (Kind::Choice(_) | Kind::Json, value) => value.to_string(),
        (_, value) => as_text(value),
    }
}

/// Returns a string itself, and other values as JSON.
pub(super) fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Parses the text of a field. `None` omits the parameter.
fn value_of(kind: &Kind, text: &str) -> Result<Option<Value>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let value = match kind {
        Kind::Text | Kind::Target => Value::from(text),
        Kind::Number => match text.trim().parse::<serde_json::Number>() {
            Ok(number) => Value::Number(number),
            Err(_) => return Err("Enter a number.".to_owned()),
        },
        Kind::Flag => Value::from(text == "true"),
        Kind::Lines => text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().into(),
        Kind::Choice(_) | Kind::Json => {
            serde_json::from_str(text).map_err(|error| format!("This is not valid JSON: {error}."))?
        }
    };
    Ok(Some(value))
}

/// Sets or removes a value. Creates objects on the path, and removes them when they become empty.
fn put(root: &mut Value, pointer: &str, value: Option<Value>) {
    let mut names: Vec<String> =
        pointer.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~")).collect();
    let Some(last) = names.pop() else { return };
    put_below(root, &names, last, value);
}

fn put_below(root: &mut Value, names: &[String], last: String, value: Option<Value>) {
    let Some(object) = root.as_object_mut() else { return };
    let Some((name, rest)) = names.split_first() else {
        match value {
            Some(value) => drop(object.insert(last, value)),
            None => drop(object.remove(&last)),
        }
        return;
    };
    if value.is_some() && !object.get(name).is_some_and(Value::is_object) {
        object.insert(name.clone(), Value::Object(Map::new()));
    }
    if let Some(inner) = object.get_mut(name) {
        put_below(inner, rest, last, value);
        if inner.as_object().is_some_and(Map::is_empty) {
            object.remove(name);
        }
    }
}

/// Returns a name as words: `Keep last` for `keepLast` and `keep_last`.
pub(super) fn in_words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if matches!(character, '_' | '-') {
            words.push(' ');
        } else if character.is_uppercase() && words.ends_with(char::is_lowercase) {
            words.push(' ');
            words.extend(character.to_lowercase());
        } else if words.is_empty() {
            words.extend(character.to_uppercase());
        } else {
            words.push(character);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "$defs": { "Retention": { "type": "object", "properties": {
                "keepLast": { "type": "integer", "default": 0 }, "daily": { "type": "integer", "default": 1 },
            } } },
            "type": "object",
            "required": ["target"],
            "properties": {
                "compression": { "type": ["integer", "null"], "description": "Level" },
                "retention": { "anyOf": [{ "$ref": "#/$defs/Retention" }, { "type": "null" }], "default": null },
                "target": { "type": "string", "pattern": TARGET_PATTERN },
            },
        })
    }

    #[test]
    fn references_and_alternatives_are_resolved() {
        let nodes = nodes(&schema());
        // Optional fields are sorted by name, or as in the schema if a crate enables `serde_json/preserve_order`.
        let mut pointers: Vec<&str> = fields(&nodes).iter().map(|field| field.pointer.as_str()).collect();
        pointers.sort_unstable();
        assert_eq!(pointers, ["/compression", "/retention/daily", "/retention/keepLast", "/target"]);
        let Some(Node::Field(target)) = nodes.first() else { return assert!(nodes.is_empty(), "no field") };
        assert_eq!((&target.kind, target.is_required), (&Kind::Target, true));
    }

    #[test]
    fn zero_is_not_shown_as_default_in_optional_group() {
        let nodes = nodes(&schema());
        let default_of = |pointer: &str| {
            fields(&nodes).iter().find(|field| field.pointer == pointer).map(|field| field.default.clone())
        };
        assert_eq!(default_of("/retention/keepLast").as_deref(), Some(""));
        assert_eq!(default_of("/retention/daily").as_deref(), Some("1"));
    }

    #[test]
    fn parameters_survive_reading_and_building() {
        let nodes = nodes(&schema());
        let stored = json!({ "target": "all", "retention": { "keepLast": 7 }, "unknown": [1] });
        let texts = read(&nodes, &stored);
        assert_eq!(build(&nodes, &texts, &stored), Ok(stored.clone()));
        let mut fewer = texts;
        fewer.remove("/retention/keepLast");
        assert_eq!(build(&nodes, &fewer, &stored), Ok(json!({ "target": "all", "unknown": [1] })));
    }

    #[test]
    fn invalid_texts_are_errors() {
        let nodes = nodes(&schema());
        let texts = BTreeMap::from([("/compression".to_owned(), "high".to_owned())]);
        assert!(build(&nodes, &texts, &json!({})).is_err_and(|errors| errors.contains_key("/compression")));
    }

    #[test]
    fn names_become_words() {
        assert_eq!(["keepLast", "keep_last", "url"].map(in_words), ["Keep last", "Keep last", "Url"]);
    }
}
