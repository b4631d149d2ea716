use api_types::{ListedProject, Page as ApiPage, Run};
use dioxus::prelude::*;
use serde_json::Value;

use crate::{
    remote::use_remote,
    text,
    ui::{CopyButton, Mark, Shape},
};

/// The region "Result": sentences and folded JSON for backups, and JSON for any other result.
#[component]
pub(super) fn RunResult(run: Run) -> Element {
    let projects = use_remote::<ApiPage<ListedProject>>(use_signal(|| "/projects?limit=200".to_owned()).into());
    let projects = projects.value().map(|page| page.items).unwrap_or_default();
    let name = |target: &str| match target.strip_prefix("project:") {
        None => "Platform".to_owned(),
        Some(id) => {
            let known = projects.iter().find(|listed| listed.project.id == id);
            known.map_or_else(|| id.to_owned(), |listed| listed.project.name.clone())
        }
    };
    let Some(result) = run.result.as_ref().filter(|result| !is_empty(result)) else { return rsx! {} };
    let sentences = if run.plugin == "backup" { backup_in_words(result, name) } else { Vec::new() };
    let json = serde_json::to_string_pretty(result).unwrap_or_default();
    rsx! {
        section { class: "section run-result", "aria-label": "Result",
            if sentences.is_empty() {
                div { class: "section-head",
                    h2 { "Result" }
                    CopyButton { name: "Copy result", text: json.clone() }
                }
                div { class: "code result-code", pre { tabindex: "0", "{json}" } }
            } else {
                ul { class: "stack stack-1",
                    for (shape, sentence) in sentences {
                        li { key: "{sentence}", class: "row", Mark { shape } span { "{sentence}" } }
                    }
                }
                details {
                    summary { class: "label muted", "As JSON" }
                    div { class: "code result-code", pre { tabindex: "0", "{json}" } }
                }
            }
        }
    }
}

fn is_empty(result: &Value) -> bool {
    match result {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// Describes the result of the plugin `backup`: `notebook backed up: 12 tables, 1 204 002 rows, 1.9 GB`.
fn backup_in_words(result: &Value, name: impl Fn(&str) -> String) -> Vec<(Shape, String)> {
    let number = |item: &Value, name: &str| item.get(name).and_then(Value::as_i64);
    let target = |item: &Value| item.get("target").and_then(Value::as_str).map(&name).unwrap_or_default();
    let mut sentences = Vec::new();
    for (list, verb) in [("backups", "backed up"), ("verified", "verified")] {
        for item in result.get(list).and_then(Value::as_array).into_iter().flatten() {
            let mut facts = Vec::new();
            facts.extend(number(item, "tables").map(|tables| text::count(tables, "table", "tables")));
            facts.extend(number(item, "rows").map(|rows| text::count(rows, "row", "rows")));
            facts.extend(number(item, "sizeBytes").map(text::bytes));
            sentences.push((Shape::Succeeded, format!("{} {verb}: {}", target(item), facts.join(", "))));
        }
    }
    for item in result.get("failed").and_then(Value::as_array).into_iter().flatten() {
        let error = item.get("error").and_then(Value::as_str).unwrap_or_default();
        sentences.push((Shape::Failed, format!("{}: {error}", target(item))));
    }
    if let Some(removed) = number(result, "removed").filter(|removed| *removed > 0) {
        sentences.push((
            Shape::Skipped,
            format!("{} removed by the retention rules", text::count(removed, "old backup", "old backups")),
        ));
    }
    sentences
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn backups_are_described_in_words() {
        let result = json!({
            "backups": [{ "target": "platform", "tables": 1, "rows": 1200, "sizeBytes": 6_100_000 }],
            "removed": 2,
            "failed": [{ "target": "project:abc", "error": "disk full" }],
        });
        let sentences: Vec<String> = backup_in_words(&result, |target| target.replace("project:", ""))
            .into_iter()
            .map(|(_, sentence)| sentence)
            .collect();
        assert_eq!(
            sentences,
            [
                "platform backed up: 1 table, 1\u{202f}200 rows, 6.1 MB",
                "abc: disk full",
                "2 old backups removed by the retention rules",
            ]
        );
    }
}
