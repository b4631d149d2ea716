//! The form for how rows are written: the mode, the key, and the rule for rows that can't be imported.

use api_types::{ImportMode, OnImportError, TableDetail};
use dioxus::prelude::*;

use super::{
    draft::Draft,
    plan::{Plan, Refusal},
};
use crate::{
    text,
    ui::{CodeText, Mark, RadioOption, Shape},
};

#[component]
pub(super) fn Rules(
    plan: Plan,
    table: TableDetail,
    /// The reason why the server refused the last request.
    refusal: Option<Refusal>,
    draft: Signal<Draft>,
) -> Element {
    let mut draft = draft;
    let now = draft.read().clone();
    rsx! {
        div { class: "import-rules",
            fieldset { class: "field", role: "radiogroup", "aria-label": "Mode",
                span { class: "lab", "Mode" }
                div { class: "options",
                    RadioOption {
                        group: "import-mode",
                        label: "Insert",
                        help: "Every row of the file becomes a new row.",
                        checked: now.mode == ImportMode::Insert,
                        onchoose: move |()| draft.write().mode = ImportMode::Insert,
                    }
                    RadioOption {
                        group: "import-mode",
                        label: "Upsert",
                        help: "A row with the same key is updated. Other rows are inserted.",
                        checked: now.mode == ImportMode::Upsert,
                        onchoose: move |()| draft.write().mode = ImportMode::Upsert,
                    }
                }
                if now.mode == ImportMode::Upsert {
                    KeyField {
                        plan: plan.clone(),
                        table: table.clone(),
                        refused: refusal.as_ref().and_then(Refusal::of_key),
                        draft,
                    }
                }
            }
            fieldset { class: "field", role: "radiogroup", "aria-label": "If a row can't be imported",
                span { class: "lab", "If a row can't be imported" }
                div { class: "options",
                    RadioOption {
                        group: "import-error",
                        label: "Abort",
                        help: "Nothing is imported.",
                        checked: now.on_error == OnImportError::Abort,
                        onchoose: move |()| draft.write().on_error = OnImportError::Abort,
                    }
                    RadioOption {
                        group: "import-error",
                        label: "Skip and report",
                        help: "The other rows are imported, and the page lists the first 100 errors.",
                        checked: now.on_error == OnImportError::Skip,
                        onchoose: move |()| draft.write().on_error = OnImportError::Skip,
                    }
                }
            }
        }
        if !plan.always_identities.is_empty() || now.override_identity {
            div { class: "option-with-help",
                label { class: "check",
                    input {
                        class: "box",
                        r#type: "checkbox",
                        "aria-describedby": "import-identity-help",
                        checked: now.override_identity,
                        onchange: move |event| draft.write().override_identity = event.checked(),
                    }
                    "Import identity values"
                }
                small { id: "import-identity-help",
                    if plan.always_identities.is_empty() {
                        "Postgres always generates such values, and this file has none."
                    } else {
                        "Postgres always generates {text::list(&plan.always_identities)}. If this is off, the file's \
                         values are ignored."
                    }
                }
            }
        }
    }
}

/// The key by which an upsert finds rows.
#[component]
fn KeyField(plan: Plan, table: TableDetail, refused: Option<String>, draft: Signal<Draft>) -> Element {
    let mut draft = draft;
    let problem = plan.key_problem.clone().or(refused);
    let keys: Vec<Vec<String>> = table.unique_keys.iter().map(|key| key.columns.clone()).collect();
    let choices = keys.clone();
    rsx! {
        div { class: "field import-key",
            label { r#for: "import-key", "Key" }
            select {
                id: "import-key",
                class: "input",
                "aria-invalid": if problem.is_some() { "true" },
                "aria-describedby": if problem.is_some() { "import-key-error" },
                disabled: keys.is_empty(),
                onchange: move |event| {
                    let chosen = event.value().parse::<usize>().ok().and_then(|index| choices.get(index).cloned());
                    draft.write().conflict = chosen;
                },
                if keys.is_empty() {
                    option { value: "", "No key" }
                }
                for (index, key) in keys.iter().enumerate() {
                    option {
                        key: "{index}", value: "{index}", selected: plan.key.as_ref() == Some(key),
                        {key.join(", ")}
                    }
                }
            }
            if let Some(problem) = &problem {
                p { class: "error", id: "import-key-error", role: "alert",
                    Mark { shape: Shape::Failed }
                    span { CodeText { text: problem.clone() } }
                }
            }
        }
    }
}
