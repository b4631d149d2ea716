//! An import as steps on the page: the file, its preview, the columns, the rules, and the result of a run.

use api_types::{Import, ImportState, RunStarted, TableDetail};
use dioxus::prelude::*;

use super::{
    columns::Columns,
    draft::{self, Draft, use_draft},
    file::{CloseButton, FileStep},
    outcome::{Outcome, OutcomeHeading},
    plan::{Plan, Refusal},
    preview::{FileSettings, PROBLEM, Preview, PreviewTable, Warnings, use_preview},
    rules::Rules,
};
use crate::{
    address, dom,
    pages::refresh::use_refresh,
    remote::{self, Method, RemoteState, use_remote},
    ui::{CodeText, Empty, ErrorBox, Mark, Shape},
};

const RESULT: &str = "import-result";

#[component]
pub(super) fn ImportSteps(project: String, import: String) -> Element {
    let path = format!("/imports/{import}");
    let mut current = use_remote::<Import>(use_signal(|| path).into());
    let now = current.value();
    use_refresh("/imports", now.as_ref().is_some_and(|import| import.state == ImportState::Running));
    let is_imported = now.as_ref().is_some_and(|import| import.state == ImportState::Done && !import.dry_run);
    let state = now.map(|import| import.state);
    // Reads the list again, because it still shows the previous state.
    use_effect(use_reactive!(|state| {
        if state.is_some() {
            remote::forget("/imports");
        }
    }));
    let changed = project.clone();
    use_effect(use_reactive!(|is_imported, import| {
        if is_imported {
            draft::forget(&import);
            // Reads the tables again, because their numbers of rows have changed.
            remote::forget(&format!("/projects/{changed}"));
        }
    }));
    match current.state() {
        RemoteState::Loading => rsx! { div { class: "late", "aria-busy": "true", span { class: "sk" } } },
        RemoteState::Failed(failure) if failure.is_not_found() => rsx! {
            Empty {
                title: "This import is no longer kept",
                text: "It was deleted, or it was created more than 24 hours ago. Rows that were imported stay.",
                CloseButton {}
            }
        },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "The import could not be loaded.", failure, on_retry: move |()| current.refresh() }
        },
        RemoteState::Ready(import) => {
            let has_file = import.state != ImportState::AwaitingUpload && !is_imported;
            rsx! {
                ol { class: "steps",
                    FileStep { project: project.clone(), import: import.clone() }
                    if has_file {
                        Configure { project, import }
                    } else if is_imported {
                        li { id: RESULT, class: "is-now",
                            span { class: "dot", "aria-hidden": "true", "2" }
                            OutcomeHeading { import: import.clone() }
                            div { class: "stack", Outcome { project, import } }
                        }
                    }
                }
            }
        }
    }
}

/// The steps of an import whose file is uploaded.
#[component]
fn Configure(project: String, import: Import) -> Element {
    let path = address::with_parameters(&format!("/projects/{project}/table"), &[("name", Some(&import.table))]);
    let mut table = use_remote::<TableDetail>(use_signal(|| path).into());
    let draft = use_draft(&import.id);
    let preview = use_preview(&import.id, draft);
    let failure = preview.failure.read().clone();
    let is_running = import.state == ImportState::Running;
    let plan = match (&*preview.known.read(), table.value()) {
        (Some(known), Some(table)) => Some((Plan::new(known, &draft.read(), &table), table)),
        _ => None,
    };
    rsx! {
        li { class: "is-now",
            span { class: "dot", "aria-hidden": "true", "2" }
            h2 { "Preview" }
            fieldset { class: "stack", disabled: is_running,
                FileSettings { format: import.format, preview, draft }
                if let Some(failure) = failure {
                    div { class: "failed-box", role: "alert",
                        div { class: "row",
                            Mark { shape: Shape::Failed }
                            if failure.is_temporary() {
                                strong { "The preview could not be loaded." }
                            } else {
                                strong { "The file can't be read with these settings." }
                            }
                        }
                        p { class: "label", id: PROBLEM, CodeText { text: failure.message() } }
                        div { class: "row",
                            button {
                                class: "btn btn-s", r#type: "button", onclick: move |_| preview.refresh(), "Try again"
                            }
                        }
                    }
                } else {
                    Warnings { preview, draft }
                    PreviewTable { preview }
                }
            }
        }
        match (plan, table.state()) {
            (_, RemoteState::Failed(failure)) => rsx! {
                li {
                    ErrorBox { what: "The table could not be loaded.", failure, on_retry: move |()| table.refresh() }
                }
            },
            (Some((plan, table)), _) => rsx! { Apply { project, import, plan, table, draft, preview } },
            (None, _) => rsx! {},
        }
    }
}

/// The columns, the rules, and the buttons that start a run.
#[component]
fn Apply(
    project: String,
    import: Import,
    plan: Plan,
    table: TableDetail,
    draft: Signal<Draft>,
    preview: Preview,
) -> Element {
    let is_running = import.state == ImportState::Running;
    let mut problem = use_signal(|| None::<String>);
    let mut refusal = use_signal(|| None::<Refusal>);
    use_effect(move || {
        // Removes the refusal when the owner changes a choice, because the server may accept the new choice.
        draft.read();
        if refusal.peek().is_some() {
            refusal.set(None);
            problem.set(None);
        }
    });
    let mut busy = use_signal(|| false);
    let mut was_started = use_signal(|| false);
    let start = {
        let (import, plan, table) = (import.clone(), plan.clone(), table.clone());
        use_callback(move |dry_run: bool| {
            let lacks_delimiter = preview.lacks_delimiter(&draft.peek());
            if lacks_delimiter || !plan.is_valid() || preview.failure.peek().is_some() {
                let is_unread = !lacks_delimiter && plan.is_valid();
                let first = if is_unread {
                    "Solve the problem of the preview first."
                } else {
                    "Correct the marked fields first."
                };
                problem.set(Some(first.to_owned()));
                spawn(async {
                    dom::next_frame().await;
                    dom::focus(".import-steps [aria-invalid=true]");
                });
                return;
            }
            let request = plan.request(&draft.peek(), import.format, &table, dry_run);
            let path = format!("/imports/{}/start", import.id);
            spawn(async move {
                busy.set(true);
                problem.set(None);
                refusal.set(None);
                match remote::send::<_, RunStarted>(Method::Post, &path, &request).await {
                    Ok(_) => {
                        was_started.set(true);
                        remote::forget("/runs");
                    }
                    Err(refused) => {
                        problem.set(Some(refused.message()));
                        refusal.set(Some(Refusal::new(&refused)));
                        dom::next_frame().await;
                        dom::focus(".import-steps [aria-invalid=true]");
                    }
                }
                remote::forget("/imports");
                busy.set(false);
            });
        })
    };
    let has_run = import.run_id.is_some();
    let run = import.run_id.clone();
    use_effect(use_reactive!(|run| {
        // Scrolls to the result of a run that was started on this page, because the result may be out of sight.
        if run.is_some() && was_started.replace(false) {
            spawn(async move {
                dom::next_frame().await;
                dom::scroll_into_view(RESULT);
            });
        }
    }));
    rsx! {
        li { class: "is-now",
            span { class: "dot", "aria-hidden": "true", "3" }
            h2 { "Columns" }
            fieldset { class: "stack", disabled: is_running,
                Columns {
                    plan: plan.clone(),
                    table: table.clone(),
                    errors: import.errors.clone(),
                    error_count: import.error_count,
                    refusal: refusal(),
                    draft,
                }
            }
        }
        li { class: "is-now",
            span { class: "dot", "aria-hidden": "true", "4" }
            h2 { "Rules" }
            div { class: "stack",
                fieldset { class: "stack", disabled: is_running,
                    Rules { plan, table, refusal: refusal(), draft }
                }
                // Not in the fieldset, which would take the focus from the pressed button.
                div { class: "row wrap",
                    button {
                        class: "btn btn-l",
                        r#type: "button",
                        "aria-disabled": is_running || busy(),
                        "aria-describedby": "import-dry-run",
                        onclick: move |_| start.call(true),
                        "Dry run"
                    }
                    button {
                        class: "btn btn-primary btn-l",
                        r#type: "button",
                        "aria-disabled": is_running || busy(),
                        onclick: move |_| start.call(false),
                        "Import"
                    }
                    span { class: "help", id: "import-dry-run",
                        "A dry run checks every row. It changes no rows, but uses up ids of identity columns."
                    }
                }
                if let Some(problem) = problem() {
                    p { class: "error", role: "alert",
                        Mark { shape: Shape::Failed }
                        span { CodeText { text: problem } }
                    }
                }
            }
        }
        if has_run {
            li { id: RESULT, class: "is-now",
                span { class: "dot", "aria-hidden": "true", "5" }
                OutcomeHeading { import: import.clone() }
                div { class: "stack", Outcome { project, import } }
            }
        }
    }
}
