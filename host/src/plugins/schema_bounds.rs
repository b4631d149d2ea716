//! How much work a JSON Schema can make. It is its plugin's author's, and the host checks parameters against it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Largest schema, in bytes of JSON.
const MOST_BYTES: usize = 64 << 10;
/// Deepest nesting, with every `$ref` followed.
const MOST_DEPTH: usize = 128;
/// Schemas within a schema, with every `$ref` followed as often as it is there. A validator walks no more of them for
/// one value.
const MOST_PATHS: u64 = 10_000;
/// A validator walks what lies below these more than once.
const REPEATING: [&str; 2] = ["unevaluatedProperties", "unevaluatedItems"];
const REPEATED: u64 = 4;
/// Other ways to refer to a schema than by its place, whose targets can't be told without the rules of JSON Schema.
const REFUSED: [&str; 5] = ["$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$anchor"];

/// # Errors
/// What makes the schema one that could keep the host busy, in words for its author.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    let bytes = schema.to_string().len();
    if bytes > MOST_BYTES {
        return Err(format!("it has {bytes} bytes, and at most {MOST_BYTES} are allowed"));
    }
    let mut walk = Walk { root: schema, known: BTreeMap::new(), open: BTreeSet::new() };
    let extent = walk.value(schema, 0)?;
    if extent.paths > MOST_PATHS {
        return Err(format!("with its `$ref`s followed it holds more than {MOST_PATHS} schemas; let them repeat less"));
    }
    Ok(())
}

/// With every `$ref` followed.
#[derive(Debug, Clone, Copy)]
struct Extent {
    paths: u64,
    depth: usize,
}

struct Walk<'a> {
    root: &'a Value,
    /// By reference.
    known: BTreeMap<&'a str, Extent>,
    /// References that are being followed.
    open: BTreeSet<&'a str>,
}

impl<'a> Walk<'a> {
    /// Counts every value as if it were a schema: that is never too few.
    fn value(&mut self, value: &'a Value, above: usize) -> Result<Extent, String> {
        if above > MOST_DEPTH {
            return Err(too_deep());
        }
        let mut whole = Extent { paths: 1, depth: 0 };
        let mut add = |part: Extent| {
            whole.paths = whole.paths.saturating_add(part.paths);
            whole.depth = whole.depth.max(part.depth + 1);
        };
        match value {
            Value::Array(items) => {
                for item in items {
                    add(self.value(item, above + 1)?);
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    match field {
                        Value::String(target) if name == "$ref" => add(self.reference(target, above)?),
                        // A property may be called so, and is an object then.
                        Value::String(_) if REFUSED.contains(&name.as_str()) => {
                            return Err(format!("it has `{name}`; refer to schemas by `\"$ref\": \"#/…\"` alone"));
                        }
                        Value::String(_) if name == "$id" && above > 0 => {
                            return Err("it has an `$id` below its top; refer to schemas by their place".to_owned());
                        }
                        field => add(self.value(field, above + 1)?),
                    }
                }
                if REPEATING.iter().any(|name| fields.contains_key(*name)) {
                    whole.paths = whole.paths.saturating_mul(REPEATED);
                }
            }
            _ => {}
        }
        if above + whole.depth > MOST_DEPTH {
            return Err(too_deep());
        }
        Ok(whole)
    }

    fn reference(&mut self, reference: &'a str, above: usize) -> Result<Extent, String> {
        if let Some(known) = self.known.get(reference) {
            return Ok(*known);
        }
        let target = target(self.root, reference).ok_or_else(|| {
            format!("its `$ref` to `{reference}` names no place in it; write it as `#/…`, and refer to nothing outside")
        })?;
        if !self.open.insert(reference) {
            return Err(format!("`{reference}` refers to itself, and parameters of any depth are not checked"));
        }
        let extent = self.value(target, above + 1)?;
        self.open.remove(reference);
        self.known.insert(reference, extent);
        Ok(extent)
    }
}

fn target<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let pointer = reference.strip_prefix('#')?;
    let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8().ok()?;
    // An anchor is no pointer; the whole schema is one that refers to itself.
    root.pointer(&pointer)
}

fn too_deep() -> String {
    format!("it is nested deeper than {MOST_DEPTH} levels, with its `$ref`s followed")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Each refers twice to the next: so many paths as 2 to the power of their number.
    fn doubling(levels: usize) -> Value {
        let mut definitions = serde_json::Map::new();
        for level in 0..levels {
            let next = format!("#/$defs/a{}", level + 1);
            definitions.insert(format!("a{level}"), json!({"allOf": [{"$ref": next}, {"$ref": next, "title": "x"}]}));
        }
        definitions.insert(format!("a{levels}"), json!({"type": "object"}));
        json!({"type": "object", "$ref": "#/$defs/a0", "$defs": definitions})
    }

    #[test]
    fn what_could_keep_the_host_busy_is_refused() {
        let check = |schema: &Value, expected: Option<&str>| match (check(schema), expected) {
            (Ok(()), None) => {}
            (Err(problem), Some(part)) if problem.contains(part) => {}
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        };
        check(&doubling(5), None);
        check(&doubling(12), Some("more than 10000"));
        check(&doubling(20), Some("more than 10000"));
        check(&doubling(40), Some("more than 10000"));
        check(&doubling(60), Some("deeper than 128"));
        let tree =
            json!({"$defs": {"node": {"properties": {"child": {"$ref": "#/$defs/node"}}}}, "$ref": "#/$defs/node"});
        check(&tree, Some("refers to itself"));
        check(&json!({"properties": {"again": {"$ref": "#"}}}), Some("refers to itself"));
        check(&json!({"$ref": "#somewhere"}), Some("names no place"));
        check(&json!({"$ref": "https://json-schema.org/draft/2020-12/schema"}), Some("names no place"));
        check(&json!({"$dynamicRef": "#a"}), Some("$dynamicRef"));
        check(&json!({"properties": {"a": {"$id": "https://example.com/"}}}), Some("$id"));
        check(&json!({"title": "x".repeat(70_000)}), Some("bytes"));
        let mut deep = json!({});
        for _ in 0..140 {
            deep = json!({"not": deep});
        }
        check(&deep, Some("deeper"));
        let mut repeating = json!({"type": "object"});
        for _ in 0..8 {
            repeating = json!({"properties": {"a": repeating}, "unevaluatedProperties": false});
        }
        check(&repeating, Some("more than 10000"));
        // Properties may be called like keywords.
        check(&json!({"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}}), None);
        check(&json!({"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {"type": "object"}}}), None);
    }
}
