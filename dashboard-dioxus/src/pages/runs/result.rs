//! The region "Result" of a run, and the description of results in words.

use api_types::{Export, Page as ApiPage, Run};
use dioxus::prelude::*;
use serde_json::Value;

use super::super::recent_runs::summary;
use crate::{
    address,
    pages::exports,
    remote::{use_projects, use_remote},
    text,
    ui::{CopyButton, Link, Mark, Shape},
};

/// The region "Result": sentences and folded JSON for backups, exports and imports, and JSON for any other result.
#[component]
pub(super) fn RunResult(run: Run) -> Element {
    let projects = use_projects().items;
    let name = |target: &str| match target.strip_prefix("project:") {
        None => "Platform".to_owned(),
        Some(id) => {
            let known = projects.iter().find(|project| project.id == id);
            known.map_or_else(|| id.to_owned(), |project| project.name.clone())
        }
    };
    let Some(result) = run.result.as_ref().filter(|result| !is_empty(result)) else { return rsx! {} };
    let is_export = run.plugin == "import-export" && run.plugin_job == "export";
    let sentences = match run.plugin.as_str() {
        "backup" => backup_in_words(result, name),
        "import-export" => summary(result).map(|text| Sentence::new(Shape::Succeeded, text)).into_iter().collect(),
        _ => Vec::new(),
    };
    let json = serde_json::to_string_pretty(result).unwrap_or_default();
    rsx! {
        section { class: "section run-result", "aria-label": "Result",
            if is_export {
                ExportFile { run: run.clone() }
            }
            if sentences.is_empty() {
                div { class: "section-head",
                    h2 { "Result" }
                    CopyButton { name: "Copy result", text: json.clone() }
                }
                div { class: "code result-code", pre { tabindex: "0", "{json}" } }
            } else {
                ul { class: "stack stack-1",
                    for Sentence { shape, text, backup } in sentences {
                        li { key: "{text}", class: "row wrap",
                            Mark { shape }
                            span { "{text}" }
                            if let Some((id, file)) = backup {
                                Link {
                                    to: address::with_parameters("/backups", &[("backup", Some(&id))]),
                                    class: "link mono",
                                    "{file}"
                                }
                            }
                        }
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

/// The file of an export's run. Shows nothing if the export was removed: exports are kept for a day.
#[component]
fn ExportFile(run: Run) -> Element {
    let path =
        address::with_parameters("/exports", &[("projectId", run.project_id.as_deref()), ("limit", Some("200"))]);
    let exports = use_remote::<ApiPage<Export>>(use_signal(|| path).into());
    let exports = exports.value().map(|page| page.items).unwrap_or_default();
    let Some(export) = exports.into_iter().find(|export| export.run_id == run.id) else { return rsx! {} };
    let to = run.project_id.as_ref().map(|project| {
        let parameters = [("tab", Some("export")), (exports::PARAMETER, Some(export.id.as_str()))];
        address::with_parameters(&format!("/projects/{project}/database"), &parameters)
    });
    rsx! {
        p { class: "row wrap",
            Mark { shape: Shape::Succeeded }
            span { "Exported to" }
            match to {
                Some(to) => rsx! { Link { to, class: "link mono", "{export.file_name}" } },
                None => rsx! { span { class: "mono", "{export.file_name}" } },
            }
        }
    }
}

/// A sentence about a result, with the backup that it is about.
#[derive(Debug, Clone, PartialEq)]
struct Sentence {
    shape: Shape,
    text: String,
    /// Id and file name.
    backup: Option<(String, String)>,
}

impl Sentence {
    const fn new(shape: Shape, text: String) -> Self {
        Self { shape, text, backup: None }
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
fn backup_in_words(result: &Value, name: impl Fn(&str) -> String) -> Vec<Sentence> {
    let number = |item: &Value, name: &str| item.get(name).and_then(Value::as_i64);
    let target = |item: &Value| item.get("target").and_then(Value::as_str).map(&name).unwrap_or_default();
    let text_of = |item: &Value, name: &str| item.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut sentences = Vec::new();
    for (list, verb) in [("backups", "backed up"), ("verified", "verified")] {
        for item in result.get(list).and_then(Value::as_array).into_iter().flatten() {
            let mut facts = Vec::new();
            // A verification also counts the tables of end-user login.
            let all = if verb == "verified" { "all " } else { "" };
            facts.extend(
                number(item, "tables").map(|tables| format!("{all}{}", text::count(tables, "table", "tables"))),
            );
            facts.extend(number(item, "rows").map(|rows| text::count(rows, "row", "rows")));
            facts.extend(number(item, "sizeBytes").map(text::bytes));
            let text = format!("{} {verb}: {}", target(item), facts.join(", "));
            let file = text_of(item, "objectKey").and_then(|key| key.rsplit('/').next().map(str::to_owned));
            sentences.push(Sentence { shape: Shape::Succeeded, text, backup: text_of(item, "id").zip(file) });
        }
    }
    for item in result.get("failed").and_then(Value::as_array).into_iter().flatten() {
        let error = item.get("error").and_then(Value::as_str).unwrap_or_default();
        sentences.push(Sentence::new(Shape::Failed, format!("{}: {error}", target(item))));
    }
    if let Some(removed) = number(result, "removed").filter(|removed| *removed > 0) {
        sentences.push(Sentence::new(
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
            "backups": [{ "id": "1", "target": "platform", "objectKey": "backups/platform/20260102T030405Z.dump",
                "tables": 1, "rows": 1200, "sizeBytes": 6_100_000 }],
            "removed": 2,
            "failed": [{ "target": "project:abc", "error": "disk full" }],
        });
        let sentences = backup_in_words(&result, |target| target.replace("project:", ""));
        let file = ("1".to_owned(), "20260102T030405Z.dump".to_owned());
        assert_eq!(sentences.first().and_then(|sentence| sentence.backup.clone()), Some(file));
        let sentences: Vec<String> = sentences.into_iter().map(|sentence| sentence.text).collect();
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
