//! Helpers of the tests of the documents: paths, fenced code blocks, and comparing a response with a documented one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// A fenced code block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The first word after the opening fence.
    pub language: String,
    /// The rest of the opening line, for example a status.
    pub info: String,
    pub text: String,
    /// Line of the opening fence, from 1.
    pub line: usize,
}

/// Returns the folder of the workspace's `Cargo.toml`.
pub fn workspace_root() -> PathBuf {
    // Read at run time: clones that share a target folder may also share this binary.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().unwrap().to_path_buf()
}

/// Reads a document, given its path in the workspace.
pub fn read_document(path: &str) -> String {
    fs::read_to_string(workspace_root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the blocks that start in the first column, in order.
pub fn fenced_blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in document.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(fence)) => {
                let (language, info) = fence.split_once(' ').unwrap_or((fence, ""));
                open = Some(Block {
                    language: language.to_owned(),
                    info: info.trim().to_owned(),
                    text: String::new(),
                    line: index + 1,
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "unclosed block: {open:?}");
    blocks
}

/// Compares a response with a documented one. In the documented one, `"…"` matches any value and `"abc…"` any string
/// that starts with `abc`. A member `"…"` allows further members, and a last element `"…"` further elements.
pub fn compare(documented: &Value, actual: &Value) -> Result<(), String> {
    compare_at("", documented, actual)
}

fn compare_at(at: &str, documented: &Value, actual: &Value) -> Result<(), String> {
    let differs = || Err(format!("at `{at}`: documented {documented}, actual {actual}"));
    match (documented, actual) {
        (Value::String(text), _) if text == "…" => Ok(()),
        (Value::String(text), Value::String(actual_value)) => match text.strip_suffix('…') {
            Some(beginning) if actual_value.starts_with(beginning) => Ok(()),
            None if text == actual_value => Ok(()),
            _ => differs(),
        },
        (Value::Number(number), Value::Number(actual_value)) if number.as_f64() == actual_value.as_f64() => Ok(()),
        (Value::Array(items), Value::Array(actual_items)) => {
            let open = items.last().is_some_and(|last| last == "…");
            let items = if open { &items[..items.len() - 1] } else { &items[..] };
            if actual_items.len() < items.len() || (!open && actual_items.len() > items.len()) {
                return differs();
            }
            items
                .iter()
                .zip(actual_items)
                .enumerate()
                .try_for_each(|(index, (item, actual_value))| compare_at(&format!("{at}[{index}]"), item, actual_value))
        }
        (Value::Object(members), Value::Object(actual_items)) => {
            for (name, value) in members.iter().filter(|(name, _)| *name != "…") {
                let actual_value =
                    actual_items.get(name).ok_or(format!("at `{at}`: no member `{name}` in {actual}"))?;
                compare_at(&format!("{at}.{name}"), value, actual_value)?;
            }
            match actual_items.keys().find(|name| !members.contains_key(*name)) {
                Some(more) if !members.contains_key("…") => Err(format!("at `{at}`: undocumented member `{more}`")),
                _ => Ok(()),
            }
        }
        _ if documented == actual => Ok(()),
        _ => differs(),
    }
}

/// Finds the first member with this name at any depth.
pub fn find<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(members) => members.get(name).or_else(|| members.values().find_map(|value| find(value, name))),
        Value::Array(items) => items.iter().find_map(|item| find(item, name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fenced_blocks_returns_language_info_and_text() {
        let found = fenced_blocks("text\n```json 201\n{}\n```\n\n   ```sh\n   x\n   ```\n```sh\na\nb\n```\n");
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].language.as_str(), found[0].info.as_str(), found[0].line), ("json", "201", 2));
        assert_eq!(found[1].text, "a\nb\n");
    }

    #[test]
    fn compare_matches_placeholders() {
        let check = |documented: Value, actual: Value, same: bool| {
            assert_eq!(compare(&documented, &actual).is_ok(), same, "{documented} {actual}");
        };
        check(json!({"a": "…"}), json!({"a": [1]}), true);
        check(json!({"a": "…"}), json!({"a": 1, "b": 2}), false);
        check(json!({"a": "…", "…": "…"}), json!({"a": 1, "b": 2}), true);
        check(json!({"a": 1}), json!({}), false);
        check(json!({"a": 1.50}), json!({"a": 1.5}), true);
        check(json!("ah_sec_…"), json!("ah_sec_x"), true);
        check(json!("ah_sec_…"), json!("ah_pub_x"), false);
        check(json!([1, "…"]), json!([1, 2, 3]), true);
        check(json!([1]), json!([1, 2]), false);
        check(json!(null), json!(0), false);
    }
}
