//! The fields of a new export.

use api_types::{CreateExport, ExportFormat, ExportSource};
use dioxus::prelude::*;

use crate::ui::RadioOption;

/// Id of the element with the server's error message. The refused field refers to it with `aria-describedby`.
pub(super) const PROBLEM: &str = "export-problem";

/// A source that the owner can choose to export.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::pages) struct Choice {
    pub(in crate::pages) label: String,
    pub(in crate::pages) help: String,
    pub(in crate::pages) source: ExportSource,
}

/// The source, format and compression that the owner has selected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Chosen {
    /// Index of the chosen source.
    pub(super) choice: usize,
    pub(super) format: ExportFormat,
    pub(super) gzip: bool,
}

type Format = (ExportFormat, &'static str, &'static str);

const OF_ROWS: [Format; 3] = [
    (ExportFormat::Csv, "CSV", "For spreadsheets. NULL is an empty field; an empty string is \"\"."),
    (ExportFormat::Json, "JSON", "An array with one object per row."),
    (ExportFormat::Ndjson, "NDJSON", "One object per line, for programs that read line by line."),
];
const OF_DATABASES: [Format; 2] = [
    (ExportFormat::Custom, "Archive", "For pg_restore, and for a restore in AtlasHub. Compressed."),
    (ExportFormat::Sql, "SQL script", "Plain text for psql."),
];

fn formats_of(source: &ExportSource) -> &'static [Format] {
    if matches!(source, ExportSource::Database { .. }) { &OF_DATABASES } else { &OF_ROWS }
}

impl Chosen {
    pub(super) fn new(choices: &[Choice]) -> Self {
        let mut chosen = Self { choice: 0, format: ExportFormat::Csv, gzip: false };
        chosen.choose(choices, 0);
        chosen
    }

    /// Selects a source. The format stays the same if the source supports it.
    fn choose(&mut self, choices: &[Choice], choice: usize) {
        self.choice = choice;
        let formats = choices.get(choice).map(|chosen| formats_of(&chosen.source)).unwrap_or_default();
        if !formats.iter().any(|(format, ..)| *format == self.format)
            && let Some((first, ..)) = formats.first()
        {
            self.format = *first;
        }
    }

    fn can_compress(self) -> bool {
        self.format != ExportFormat::Custom
    }

    pub(super) fn request(self, choices: &[Choice]) -> Option<CreateExport> {
        let source = choices.get(self.choice)?.source.clone();
        Some(CreateExport { source, format: self.format, gzip: self.gzip && self.can_compress() })
    }
}

#[component]
pub(super) fn ExportFields(
    choices: Vec<Choice>,
    chosen: Signal<Chosen>,
    is_list: bool,
    /// Path of the request's field that the server refused.
    refused_field: Option<String>,
) -> Element {
    let mut values = chosen;
    let now = chosen();
    let refused = refused_field.as_deref().unwrap_or_default();
    let is_source_refused = refused.starts_with("source");
    let formats = choices.get(now.choice).map(|choice| formats_of(&choice.source)).unwrap_or_default();
    rsx! {
        if is_list {
            SourceList { choices: choices.clone(), chosen, is_refused: is_source_refused }
        } else if choices.len() > 1 {
            fieldset {
                class: "field",
                role: "radiogroup",
                "aria-label": "Rows",
                "aria-invalid": if is_source_refused { "true" },
                "aria-describedby": if is_source_refused { PROBLEM },
                span { class: "lab", "Rows" }
                div { class: "options",
                    for (index, choice) in choices.iter().enumerate() {
                        RadioOption {
                            key: "{index}",
                            group: "export-rows",
                            label: choice.label.clone(),
                            help: choice.help.clone(),
                            checked: now.choice == index,
                            onchoose: {
                                let choices = choices.clone();
                                move |()| values.with_mut(|values| values.choose(&choices, index))
                            },
                        }
                    }
                }
            }
        }
        fieldset {
            class: "field",
            role: "radiogroup",
            "aria-label": "Format",
            "aria-invalid": if refused == "format" { "true" },
            "aria-describedby": if refused == "format" { PROBLEM },
            span { class: "lab", "Format" }
            div { class: "options",
                for (format, label, help) in formats {
                    RadioOption {
                        key: "{label}",
                        group: "export-format",
                        label: *label,
                        help: *help,
                        checked: now.format == *format,
                        onchoose: move |()| values.write().format = *format,
                    }
                }
            }
        }
        if now.can_compress() {
            label { class: "check",
                input {
                    class: "box",
                    r#type: "checkbox",
                    checked: now.gzip,
                    onchange: move |event| values.write().gzip = event.checked(),
                }
                "Compress with gzip"
            }
        }
    }
}

/// The list of sources: the database and its tables.
#[component]
fn SourceList(choices: Vec<Choice>, chosen: Signal<Chosen>, is_refused: bool) -> Element {
    let mut values = chosen;
    let help = choices.get(chosen().choice).map(|choice| choice.help.clone()).unwrap_or_default();
    let items = choices.clone();
    rsx! {
        div { class: "field",
            label { r#for: "export-source", "Source" }
            select {
                id: "export-source",
                class: "input",
                "aria-invalid": if is_refused { "true" },
                "aria-describedby": if is_refused { "export-source-help {PROBLEM}" } else { "export-source-help" },
                onchange: move |event| {
                    if let Ok(index) = event.value().parse() {
                        values.with_mut(|values| values.choose(&choices, index));
                    }
                },
                for (index, choice) in items.into_iter().enumerate() {
                    option { key: "{index}", value: "{index}", selected: index == chosen().choice, "{choice.label}" }
                }
            }
            p { class: "help", id: "export-source-help", "{help}" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::whole_table, *};

    fn choices() -> Vec<Choice> {
        let table = whole_table("p".to_owned(), "books".to_owned());
        let database = ExportSource::Database { project_id: Some("p".to_owned()) };
        [database, table].map(|source| Choice { label: String::new(), help: String::new(), source }).to_vec()
    }

    #[test]
    fn format_follows_the_source() {
        let choices = choices();
        let mut chosen = Chosen::new(&choices);
        assert_eq!(chosen.format, ExportFormat::Custom);
        chosen.gzip = true;
        assert_eq!(chosen.request(&choices).map(|request| request.gzip), Some(false));
        chosen.choose(&choices, 1);
        assert_eq!(
            chosen.request(&choices).map(|request| (request.format, request.gzip)),
            Some((ExportFormat::Csv, true))
        );
    }
}
