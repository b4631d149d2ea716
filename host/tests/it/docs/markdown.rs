//! What the tests of the documents share: where they are, their fenced blocks, and comparing an answer with a
//! documented one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// A fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// First word behind the fence.
    pub language: String,
    /// What follows it, for example a status.
    pub info: String,
    pub text: String,
    /// Of the opening fence, from 1.
    pub line: usize,
}

/// The folder of the top `Cargo.toml`.
pub fn workspace() -> PathBuf {
    // As cargo says it now: clones that share a target folder may share this program, too.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().unwrap().to_path_buf()
}

/// A document's text, by its path in the workspace.
pub fn document(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Blocks that begin in the first column, in order.
pub fn blocks(document: &str) -> Vec<Block> {
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
    assert!(open.is_none(), "a block is not closed: {open:?}");
    blocks
}

/// Compares an answer with a documented one. In the latter `"…"` stands for any value, and text before it for a
/// beginning; a member `"…"` says that there may be more members, a last element `"…"` more elements.
pub fn compare(documented: &Value, answered: &Value) -> Result<(), String> {
    compare_at("", documented, answered)
}

fn compare_at(at: &str, documented: &Value, answered: &Value) -> Result<(), String> {
    let differs = || Err(format!("at `{at}`: documented {documented}, answered {answered}"));
    match (documented, answered) {
        (Value::String(text), _) if text == "…" => Ok(()),
        (Value::String(text), Value::String(answer)) => match text.strip_suffix('…') {
            Some(beginning) if answer.starts_with(beginning) => Ok(()),
            None if text == answer => Ok(()),
            _ => differs(),
        },
        (Value::Number(number), Value::Number(answer)) if number.as_f64() == answer.as_f64() => Ok(()),
        (Value::Array(items), Value::Array(answers)) => {
            let open = items.last().is_some_and(|last| last == "…");
            let items = if open { &items[..items.len() - 1] } else { &items[..] };
            if answers.len() < items.len() || (!open && answers.len() > items.len()) {
                return differs();
            }
            items
                .iter()
                .zip(answers)
                .enumerate()
                .try_for_each(|(index, (item, answer))| compare_at(&format!("{at}[{index}]"), item, answer))
        }
        (Value::Object(members), Value::Object(answers)) => {
            for (name, value) in members.iter().filter(|(name, _)| *name != "…") {
                let answer = answers.get(name).ok_or(format!("at `{at}`: no member `{name}` in {answered}"))?;
                compare_at(&format!("{at}.{name}"), value, answer)?;
            }
            match answers.keys().find(|name| !members.contains_key(*name)) {
                Some(more) if !members.contains_key("…") => Err(format!("at `{at}`: undocumented member `{more}`")),
                _ => Ok(()),
            }
        }
        _ if documented == answered => Ok(()),
        _ => differs(),
    }
}

/// The value of the first member of that name, however deep.
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
    fn blocks_are_found_with_their_words() {
        let found = blocks("text\n```json 201\n{}\n```\n\n   ```sh\n   x\n   ```\n```sh\na\nb\n```\n");
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].language.as_str(), found[0].info.as_str(), found[0].line), ("json", "201", 2));
        assert_eq!(found[1].text, "a\nb\n");
    }

    #[test]
    fn answers_are_compared_as_documented() {
        let check = |documented: Value, answered: Value, same: bool| {
            assert_eq!(compare(&documented, &answered).is_ok(), same, "{documented} {answered}");
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
