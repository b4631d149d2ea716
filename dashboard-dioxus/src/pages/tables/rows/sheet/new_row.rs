//! The form of a new row.

use dioxus::prelude::*;

use super::{
    FORM, NewValues, draft_name, field_problems,
    fields::{FieldValue, RowFields, field_id},
    first_field::first_to_fill,
    insert::{Inserted, insert},
};
use crate::{
    address, dom, draft,
    pages::tables::{
        focus::focus_grid,
        rows::{View, data::RowKey},
    },
    ui::{CodeText, Link, Mark, Shape, Sheet, messages},
    value::{is_document, is_text},
};

/// The reason why the row was not created, or may not have been.
#[derive(Debug, Clone, PartialEq, Default)]
struct Problem {
    message: String,
    columns: Vec<String>,
    /// An existing row with the same values, which the request may have created.
    found: Option<RowKey>,
}

/// What the form does after it has created a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Close,
    AddAnother,
}

impl Problem {
    /// Returns the problem of the other columns.
    fn without(mut self, column: &str) -> Self {
        self.columns.retain(|other| other != column);
        self
    }
}

#[component]
pub(in crate::pages::tables::rows) fn NewRow(view: View) -> Element {
    let detail = view.detail.read().0.clone();
    let name = draft_name(view);
    let mut typed = draft::use_draft(&name, NewValues::new());
    let mut busy = use_signal(|| false);
    let mut checking = use_signal(|| false);
    let mut problem = use_signal(|| None::<Problem>);
    let close = move || address::replace_parameter("new", None);
    let value = |column: &api_types::ColumnDetail| FieldValue {
        before: None,
        now: typed.read().get(&column.name).cloned(),
        whole_bytes: None,
    };
    let values: Vec<FieldValue> = detail.columns.iter().map(value).collect();
    let problems: Vec<(String, String)> =
        problem.read().iter().flat_map(|problem| field_problems(&problem.columns, &problem.message)).collect();
    let focused = first_to_fill(&detail.columns);
    let create = {
        let name = name.clone();
        move |then: Then| {
            if busy() {
                return;
            }
            let name = name.clone();
            spawn(async move {
                busy.set(true);
                problem.set(None);
                let values = typed.peek().clone();
                match insert(view, &values, move || checking.set(true)).await {
                    Inserted::Yes => {
                        messages::show("Row created");
                        view.refresh();
                        match then {
                            Then::Close => {
                                draft::forget(&name);
                                close();
                                focus_grid(&view.table.peek(), false);
                            }
                            Then::AddAnother => {
                                // The owner may have typed on during the request.
                                if *typed.peek() == values {
                                    typed.set(NewValues::new());
                                    if let Some(focused) = focused {
                                        dom::focus(&format!("#{}", field_id(focused)));
                                    }
                                }
                            }
                        }
                    }
                    Inserted::No { message, columns } => problem.set(Some(Problem { message, columns, found: None })),
                    Inserted::Perhaps(found) => {
                        view.refresh();
                        let message = "The request failed, but may have created the row.".to_owned();
                        problem.set(Some(Problem { message, columns: Vec::new(), found: Some(found) }));
                    }
                }
                checking.set(false);
                busy.set(false);
            });
        }
    };
    let create_and_add = create.clone();
    rsx! {
        Sheet {
            title: "New row in {view.table}",
            on_close: move |()| close(),
            footer: rsx! {
                button {
                    class: "btn btn-primary", r#type: "submit", form: FORM, "aria-disabled": busy(), "Create row"
                }
                button {
                    class: "btn",
                    r#type: "button",
                    "data-act": "true",
                    "aria-disabled": busy(),
                    onclick: move |_| create_and_add(Then::AddAnother),
                    "Create and add another"
                }
                button {
                    class: "btn btn-ghost",
                    r#type: "button",
                    onclick: move |_| {
                        draft::forget(&name);
                        close();
                    },
                    "Cancel"
                }
                span { class: "push muted label row-status", role: "status",
                    if checking() {
                        "The server did not respond. Finding out whether it created the row…"
                    } else if !typed.read().is_empty() {
                        "Not saved"
                    }
                }
            },
            form {
                id: FORM,
                class: "stack",
                onsubmit: move |event| {
                    event.prevent_default();
                    create(Then::Close);
                },
                if let Some(problem) = problem() {
                    ProblemOfNewRow { view, problem }
                }
                RowFields {
                    view,
                    values,
                    can_edit: true,
                    focused,
                    problems,
                    on_change: move |(index, now): (usize, Option<Option<String>>)| {
                        let Some(column) = detail.columns.get(index) else { return };
                        // The problem is about the previous value.
                        let is_about = |problem: &Problem| problem.columns.contains(&column.name);
                        let about = problem.peek().clone().filter(is_about);
                        if let Some(about) = about {
                            let rest = about.without(&column.name);
                            problem.set(Some(rest).filter(|rest| !rest.columns.is_empty()));
                        }
                        // An empty field stands for the default, except in columns of text, where it is the empty text.
                        let is_empty = now.as_ref().is_some_and(|now| now.as_deref() == Some(""));
                        let can_be_empty = is_text(&column.data_type) && !is_document(&column.data_type);
                        match now {
                            Some(now) if !is_empty || can_be_empty => {
                                typed.write().insert(column.name.clone(), now);
                            }
                            _ => {
                                typed.write().remove(&column.name);
                            }
                        }
                    },
                    on_load: |_| {},
                }
            }
        }
    }
}

#[component]
fn ProblemOfNewRow(view: View, problem: Problem) -> Element {
    let table = view.table.read().clone();
    rsx! {
        div { class: "staged-problem", role: "alert",
            Mark { shape: Shape::Failed }
            match problem.found {
                Some(found) => rsx! {
                    span { class: "grow",
                        "{problem.message} There is a row with these values: "
                        Link { to: row_address(view, &found), class: "link", "{table} {found.words()}" }
                        ". Create another one only if you want two."
                    }
                },
                None if problem.columns.len() == 1 => rsx! {
                    span { class: "grow", "The row was not created. The field says why." }
                },
                None => rsx! { span { class: "grow", CodeText { text: problem.message } } },
            }
        }
    }
}

fn row_address(view: View, key: &RowKey) -> String {
    let table = view.table.peek();
    let path = format!("/projects/{}/tables", view.project.peek());
    address::with_parameters(&path, &[("table", Some(table.as_str())), ("row", Some(&key.to_parameter()))])
}
