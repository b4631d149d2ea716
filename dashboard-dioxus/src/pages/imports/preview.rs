//! The preview of a file, and the settings for reading the file.

use api_types::{ImportFormat, ImportPreview, PreviewImport};
use dioxus::prelude::*;

use super::draft::Draft;
use crate::{
    remote::{self, Failure, Method},
    text,
    ui::{CodeText, Mark, Shape},
    value::one_line,
};

/// Id of the message that the file can't be read with the owner's settings.
pub(super) const PROBLEM: &str = "import-settings-problem";

/// The preview of a file.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Preview {
    /// The last preview that could be read.
    pub(super) known: Signal<Option<ImportPreview>>,
    /// The reason why the file can't be read with the owner's settings.
    pub(super) failure: Signal<Option<Failure>>,
    pub(super) is_loading: Signal<bool>,
    /// Whether the owner types a delimiter that is not in the list.
    is_other_delimiter: Signal<bool>,
    /// The reason why the typed delimiter can't be used.
    delimiter_problem: Signal<Option<&'static str>>,
    /// Incremented to read the preview again.
    generation: Signal<u32>,
}

impl Preview {
    /// Returns whether the server refused this setting.
    fn refuses(self, setting: &str) -> bool {
        self.failure.read().as_ref().and_then(Failure::field) == Some(setting)
    }

    /// Returns whether the owner has chosen to type a delimiter, and has not typed a valid one. If so, marks the field.
    pub(super) fn lacks_delimiter(self, draft: &Draft) -> bool {
        if !*self.is_other_delimiter.peek() {
            return false;
        }
        let mut problem = self.delimiter_problem;
        if problem.peek().is_none() && !has_other_delimiter(draft) {
            problem.set(Some(DELIMITER_PROBLEM));
        }
        problem.peek().is_some()
    }

    pub(super) fn refresh(self) {
        let mut generation = self.generation;
        generation += 1;
    }
}

/// Reads the preview now, and whenever the owner changes how the file is read.
pub(super) fn use_preview(import: &str, draft: Signal<Draft>) -> Preview {
    let path = use_hook(|| format!("/imports/{import}/preview"));
    let hints = use_memo(move || draft.read().hints());
    let preview = Preview {
        known: use_signal(|| None),
        failure: use_signal(|| None),
        is_loading: use_signal(|| true),
        is_other_delimiter: use_signal(|| has_other_delimiter(&draft.peek())),
        delimiter_problem: use_signal(|| None),
        generation: use_signal(|| 0),
    };
    use_resource(move || {
        let (path, hints): (String, PreviewImport) = (path.clone(), hints());
        preview.generation.read();
        async move {
            let Preview { mut known, mut failure, mut is_loading, .. } = preview;
            is_loading.set(true);
            match remote::send::<_, ImportPreview>(Method::Post, &path, &hints).await {
                Ok(response) => {
                    known.set(Some(response));
                    failure.set(None);
                }
                Err(refused) => failure.set(Some(refused)),
            }
            is_loading.set(false);
        }
    });
    preview
}

const DELIMITERS: [(&str, &str); 4] = [(",", "Comma"), (";", "Semicolon"), ("\t", "Tab"), ("|", "Vertical bar")];
const OTHER: &str = "other";
const DELIMITER_PROBLEM: &str = "Enter one ASCII character that is not a quote.";

/// Returns whether the owner has typed a delimiter that is not in the list.
fn has_other_delimiter(draft: &Draft) -> bool {
    draft.delimiter.as_ref().is_some_and(|own| !DELIMITERS.iter().any(|(known, _)| known == own))
}

fn delimiter_in_words(delimiter: &str) -> String {
    let named = DELIMITERS.iter().find(|(known, _)| *known == delimiter);
    named.map_or_else(|| delimiter.to_owned(), |(_, name)| (*name).to_owned())
}

/// The settings for reading a CSV file, with the detected values.
#[component]
pub(super) fn FileSettings(format: ImportFormat, preview: Preview, draft: Signal<Draft>) -> Element {
    let mut draft = draft;
    let encoding = match draft.read().is_utf8 {
        Some(true) => "UTF-8",
        Some(false) => "Not UTF-8",
        // This tab did not read the file. The server expects UTF-8.
        None => "UTF-8 expected",
    };
    if format != ImportFormat::Csv {
        let shape = if format == ImportFormat::Json { "an array of objects" } else { "an object on each line" };
        return rsx! { p { class: "muted", "{shape}, {encoding}." } };
    }
    let known = preview.known.read();
    let header = draft.read().header.or(known.as_ref().and_then(|known| known.header)).unwrap_or(true);
    let header_note = if draft.read().header.is_none() { " (detected)" } else { "" };
    rsx! {
        div { class: "import-settings",
            DelimiterField { preview, draft }
            div { class: "field",
                label { r#for: "import-null", "Text for NULL" }
                input {
                    id: "import-null",
                    class: "input mono",
                    autocomplete: "off",
                    spellcheck: "false",
                    maxlength: "100",
                    "aria-invalid": if preview.refuses("nullText") { "true" },
                    "aria-describedby": if preview.refuses("nullText") { PROBLEM },
                    placeholder: "an empty field",
                    value: draft.read().null_text.clone().unwrap_or_default(),
                    onchange: move |event| {
                        let text = event.value();
                        draft.write().null_text = (!text.is_empty()).then_some(text);
                    },
                }
            }
            div { class: "field",
                span { class: "lab", "Encoding" }
                p { class: "import-fact", "{encoding}" }
            }
            label { class: "check import-header",
                input {
                    class: "box",
                    r#type: "checkbox",
                    checked: header,
                    onchange: move |event| draft.write().header = Some(event.checked()),
                }
                "The first row contains the field names"
                span { class: "muted", "{header_note}" }
            }
        }
    }
}

#[component]
fn DelimiterField(preview: Preview, draft: Signal<Draft>) -> Element {
    let mut draft = draft;
    let Preview { is_other_delimiter: mut is_other, delimiter_problem: mut problem, .. } = preview;
    let detected = preview.known.read().as_ref().and_then(|known| known.delimiter.clone());
    let own = draft.read().delimiter.clone();
    let other = own.clone().filter(|_| has_other_delimiter(&draft.read())).unwrap_or_default();
    let detected = match (&own, detected) {
        (None, Some(delimiter)) => format!("{} (detected)", delimiter_in_words(&delimiter)),
        _ => "Detect".to_owned(),
    };
    let chosen = if is_other() { OTHER.to_owned() } else { own.clone().unwrap_or_default() };
    rsx! {
        div { class: "field",
            label { r#for: "import-delimiter", "Delimiter" }
            select {
                id: "import-delimiter",
                class: "input",
                "aria-invalid": if preview.refuses("delimiter") { "true" },
                "aria-describedby": if preview.refuses("delimiter") { PROBLEM },
                onchange: move |event| {
                    let value = event.value();
                    is_other.set(value == OTHER);
                    if value != OTHER {
                        problem.set(None);
                        draft.write().delimiter = (!value.is_empty()).then_some(value);
                    }
                },
                option { value: "", selected: chosen.is_empty(), "{detected}" }
                for (delimiter, name) in DELIMITERS {
                    option { key: "{name}", value: delimiter, selected: chosen == delimiter, "{name}" }
                }
                option { value: OTHER, selected: chosen == OTHER, "Other" }
            }
            if is_other() {
                input {
                    class: "input mono",
                    "aria-label": "Other delimiter",
                    "aria-invalid": if problem().is_some() { "true" },
                    "aria-describedby": if problem().is_some() { "import-delimiter-error" },
                    autocomplete: "off",
                    value: other,
                    onchange: move |event| {
                        let text = event.value();
                        let mut letters = text.chars();
                        match (letters.next(), letters.next()) {
                            (Some(one), None) if one.is_ascii() && !matches!(one, '"' | '\n' | '\r' | '\0') => {
                                problem.set(None);
                                draft.write().delimiter = Some(text);
                            }
                            _ => problem.set(Some(DELIMITER_PROBLEM)),
                        }
                    },
                }
                if let Some(problem) = problem() {
                    p {
                        class: "error", id: "import-delimiter-error", role: "alert",
                        Mark { shape: Shape::Failed }
                        "{problem}"
                    }
                }
            }
        }
    }
}

/// The warnings of the preview, except those that other fields of the page show.
#[component]
pub(super) fn Warnings(preview: Preview, draft: Signal<Draft>) -> Element {
    let mut draft = draft;
    let known = preview.known.read();
    let all = known.as_ref().map(|known| known.warnings.clone()).unwrap_or_default();
    let has_null_word = all.iter().any(|warning| warning.contains("nullText"));
    let is_at_field =
        |warning: &&String| warning.starts_with("The column `") || warning.starts_with("The table has no column `");
    let shown: Vec<String> =
        all.iter().filter(|warning| !is_at_field(warning) && !warning.contains("nullText")).cloned().collect();
    let is_other_encoding = draft.read().is_utf8 == Some(false);
    if shown.is_empty() && !has_null_word && !is_other_encoding {
        return rsx! {};
    }
    rsx! {
        ul { class: "import-warnings", "aria-label": "Warnings",
            if is_other_encoding {
                li {
                    Mark { shape: Shape::Attention }
                    span { "The file is not UTF-8. Rows with invalid characters are refused: save it as UTF-8 first." }
                }
            }
            if has_null_word {
                li {
                    Mark { shape: Shape::Attention }
                    span { class: "grow", "Some fields contain the text NULL." }
                    button {
                        class: "btn btn-s",
                        r#type: "button",
                        onclick: move |_| draft.write().null_text = Some("NULL".to_owned()),
                        "Read it as NULL"
                    }
                }
            }
            for warning in shown {
                li { key: "{warning}", Mark { shape: Shape::Attention } span { CodeText { text: warning.clone() } } }
            }
        }
    }
}

/// The first rows of the file.
#[component]
pub(super) fn PreviewTable(preview: Preview) -> Element {
    let known = preview.known.read();
    let Some(known) = known.as_ref() else {
        return rsx! { p { class: "late muted", role: "status", "Loading…" } };
    };
    let count = text::count(known.rows.len() as i64, "row", "rows");
    rsx! {
        div { class: "import-preview", tabindex: "0", role: "region", "aria-label": "First rows",
            table {
                class: "table",
                "aria-label": "Preview",
                "aria-busy": if (preview.is_loading)() { "true" },
                thead {
                    tr {
                        for column in known.columns.iter() {
                            th { class: "mono", "{column.source}" }
                        }
                    }
                }
                tbody {
                    for row in known.rows.iter() {
                        tr {
                            for cell in row.iter() {
                                PreviewCell { json: cell.get().to_owned() }
                            }
                        }
                    }
                }
            }
        }
        p { class: "help", "The first {count} of the file." }
    }
}

#[component]
fn PreviewCell(json: String) -> Element {
    if json == "null" {
        return rsx! { td { span { class: "null", "NULL" } } };
    }
    // Parsed as a number, the JSON of a number could lose digits.
    let text = serde_json::from_str::<String>(&json).unwrap_or(json);
    let (line, _) = one_line(&text);
    rsx! { td { class: "mono", title: "{text}", span { class: "cut", "{line}" } } }
}
