//! Bounds the work that a JSON Schema can cause. Schemas come from the plugin's author, and the host validates
//! parameters against them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Maximum size of a schema, in bytes of JSON.
const MAX_BYTES: usize = 64 << 10;
/// Maximum nesting, with every `$ref` followed.
const MAX_DEPTH: usize = 128;
/// Maximum number of nested schemas, counting a `$ref`'s target once per reference. A validator visits at most this
/// many schemas per value.
const MAX_PATHS: u64 = 10_000;
/// Keywords below which a validator visits schemas more than once.
const REPEATING_KEYWORDS: [&str; 2] = ["unevaluatedProperties", "unevaluatedItems"];
/// Upper bound on how often a validator visits each schema below a repeating keyword.
const REPEAT_FACTOR: u64 = 4;
/// Keywords of references that are not JSON pointers. Resolving them needs the full rules of JSON Schema.
const UNSUPPORTED_KEYWORDS: [&str; 5] =
    ["$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$anchor"];

/// Checks that validating against the schema takes bounded work.
///
/// # Errors
/// Returns a description of the problem for the author of the schema.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    let bytes = schema.to_string().len();
    if bytes > MAX_BYTES {
        return Err(format!("the schema has {bytes} bytes; the maximum is {MAX_BYTES}"));
    }
    let mut walk = Walk { root: schema, measured: BTreeMap::new(), open: BTreeSet::new() };
    let extent = walk.measure(schema, 0)?;
    if extent.paths > MAX_PATHS {
        return Err(format!(
            "with every `$ref` followed, the schema contains more than {MAX_PATHS} schemas; reduce repetition"
        ));
    }
    Ok(())
}

/// Size of a schema with every `$ref` followed.
#[derive(Debug, Clone, Copy)]
struct Extent {
    paths: u64,
    depth: usize,
}

struct Walk<'a> {
    root: &'a Value,
    /// Extents of targets measured so far, by reference.
    measured: BTreeMap<&'a str, Extent>,
    /// References being followed, to detect cycles.
    open: BTreeSet<&'a str>,
}

impl<'a> Walk<'a> {
    /// Measures a value. Counts every value as if it were a schema, so that no schema is missed.
    fn measure(&mut self, value: &'a Value, depth: usize) -> Result<Extent, String> {
        if depth > MAX_DEPTH {
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
                    add(self.measure(item, depth + 1)?);
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    match field {
                        Value::String(target) if name == "$ref" => add(self.measure_reference(target, depth)?),
                        // The value of the keyword is a string. The value of a property with this name is a schema.
                        Value::String(_) if UNSUPPORTED_KEYWORDS.contains(&name.as_str()) => {
                            return Err(format!("`{name}` is not supported; refer to schemas by `\"$ref\": \"#/…\"`"));
                        }
                        Value::String(_) if name == "$id" && depth > 0 => {
                            return Err(
                                "`$id` is only supported at the top level; refer to schemas by JSON pointer".to_owned()
                            );
                        }
                        field => add(self.measure(field, depth + 1)?),
                    }
                }
                if REPEATING_KEYWORDS.iter().any(|name| fields.contains_key(*name)) {
                    whole.paths = whole.paths.saturating_mul(REPEAT_FACTOR);
                }
            }
            _ => {}
        }
        if depth + whole.depth > MAX_DEPTH {
            return Err(too_deep());
        }
        Ok(whole)
    }

    fn measure_reference(&mut self, reference: &'a str, depth: usize) -> Result<Extent, String> {
        if let Some(measured) = self.measured.get(reference) {
            return Ok(*measured);
        }
        let target = resolve(self.root, reference).ok_or_else(|| {
            format!(
                "`$ref` to `{reference}` has no target in the schema; only references of the form `#/…` are supported"
            )
        })?;
        if !self.open.insert(reference) {
            return Err(format!("`{reference}` refers to itself; recursive schemas are not supported"));
        }
        let extent = self.measure(target, depth + 1)?;
        self.open.remove(reference);
        self.measured.insert(reference, extent);
        Ok(extent)
    }
}

/// Returns the target of a JSON pointer reference. Anchors are not pointers and resolve to `None`.
fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let pointer = reference.strip_prefix('#')?;
    let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8().ok()?;
    root.pointer(&pointer)
}

fn too_deep() -> String {
    format!("with every `$ref` followed, the schema is nested deeper than {MAX_DEPTH} levels")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Returns a schema whose definitions each refer twice to the next, giving 2^`levels` paths.
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
    fn schemas_that_need_unbounded_work_are_rejected() {
        let check = |schema: &Value, expected: Option<&str>| match (check(schema), expected) {
            (Ok(()), None) => {}
            (Err(problem), Some(part)) if problem.contains(part) => {}
            (outcome, expected) => panic!("{outcome:?}, not {expected:?}"),
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
        check(&json!({"$ref": "#somewhere"}), Some("has no target"));
        check(&json!({"$ref": "https://json-schema.org/draft/2020-12/schema"}), Some("has no target"));
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
        // Properties may have the names of keywords.
        check(&json!({"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}}), None);
        check(&json!({"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {"type": "object"}}}), None);
    }
}
