//! The fields of a job's form for time limit, retries, overlap and missed runs.

use api_types::{CatchUp, JobType, Overlap};
use dioxus::prelude::*;

use super::{Form, fields::TextField};

/// The choices for a start while the previous run is in progress, with their labels.
const OVERLAPS: [(Overlap, &str); 3] =
    [(Overlap::Skip, "Skip"), (Overlap::Queue, "Wait"), (Overlap::Allow, "Run beside it")];

/// The group "When it fails or is late".
#[component]
pub(super) fn LateFields(form: Form, is_new: bool) -> Element {
    let draft = form.draft.read().clone();
    let time_limit = match draft.job_type {
        JobType::Http => "60",
        JobType::Platform if is_new => "set by the plugin",
        // A stored job has no default: an empty field is an error.
        JobType::Platform => "",
    };
    rsx! {
        fieldset { class: "stack late", role: "group", "aria-label": "When it fails or is late",
            legend { class: "strong", "When it fails or is late" }
            div { class: "trio",
                TextField {
                    form, field: "timeoutMs", label: "Time limit (seconds)", value: draft.time_limit,
                    placeholder: time_limit,
                    oninput: move |text| form.change(|draft| draft.time_limit = text),
                }
                TextField { form, field: "retries", label: "Retries", value: draft.retries,
                    oninput: move |text| form.change(|draft| draft.retries = text),
                }
                TextField {
                    form, field: "retryBackoffMs", label: "Wait before the first retry (seconds)",
                    value: draft.retry_wait,
                    placeholder: "1", oninput: move |text| form.change(|draft| draft.retry_wait = text),
                }
            }
            div { class: "pair-2",
                fieldset { class: "field", role: "radiogroup", "aria-label": "If the last run is still going",
                    legend { "If the last run is still going" }
                    div { class: "options",
                        for (choice, label) in OVERLAPS {
                            label { key: "{label}", class: "check",
                                input {
                                    class: "box",
                                    r#type: "radio",
                                    name: "job-overlap",
                                    checked: draft.overlap == choice,
                                    onchange: move |_| form.change(|draft| draft.overlap = choice),
                                }
                                "{label}"
                            }
                        }
                    }
                }
                fieldset { class: "field", role: "radiogroup", "aria-label": "After downtime",
                    legend { "After downtime" }
                    div { class: "options",
                        for (choice, label) in [(CatchUp::Once, "Run once"), (CatchUp::None, "Leave out")] {
                            label { key: "{label}", class: "check",
                                input {
                                    class: "box",
                                    r#type: "radio",
                                    name: "job-catch-up",
                                    checked: draft.catch_up == choice,
                                    onchange: move |_| form.change(|draft| draft.catch_up = choice),
                                }
                                "{label}"
                            }
                        }
                    }
                }
            }
        }
    }
}
