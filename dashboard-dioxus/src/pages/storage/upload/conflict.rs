//! The dialog that asks whether to replace an object.

use dioxus::prelude::*;

use super::{
    queue,
    state::{Answer, Existing, Status, UPLOADS},
};
use crate::{text, ui::Dialog};

/// The dialog that asks whether to replace an object that has the name of a file. It asks about one conflict at a time.
#[component]
pub(super) fn Conflict() -> Element {
    let (asked, others) = {
        let uploads = UPLOADS.read();
        let mut asked = uploads.list.iter().filter_map(|upload| match &upload.status {
            Status::Asking(existing) => {
                Some((upload.id, upload.name.clone(), upload.size, upload.file.last_modified(), existing.clone()))
            }
            _ => None,
        });
        (asked.next(), asked.count())
    };
    let Some((id, name, size, modified, existing)) = asked else { return rsx! {} };
    // Dioxus compares keys only in lists, so this is a list of one element: another conflict must create a new dialog.
    rsx! {
        for (id, name, size, modified, existing) in [(id, name, size, modified, existing)] {
            Question { key: "{id}", id, name, size, modified, existing, others }
        }
    }
}

#[component]
fn Question(id: u32, name: String, size: i64, modified: f64, existing: Existing, others: usize) -> Element {
    let mut for_all = use_signal(|| false);
    let decide = move |answer| queue::answer(id, answer, for_all());
    let yours = chrono::DateTime::from_timestamp_millis(modified as i64);
    rsx! {
        Dialog {
            title: "Replace {name}?",
            description: "An object with this name already exists.",
            alert: true,
            on_close: move |()| decide(Answer::Skip),
            footer: rsx! {
                label { class: "check grow",
                    input {
                        class: "box",
                        r#type: "checkbox",
                        checked: for_all(),
                        onchange: move |event| for_all.set(event.checked()),
                    }
                    "For all"
                }
                button { class: "btn btn-l", r#type: "button", onclick: move |_| decide(Answer::Skip), "Skip" }
                button {
                    class: "btn btn-l", r#type: "button", autofocus: true, onclick: move |_| decide(Answer::KeepBoth),
                    "Keep both"
                }
                button {
                    class: "btn btn-danger btn-l", r#type: "button", onclick: move |_| decide(Answer::Replace),
                    "Replace"
                }
            },
            dl { class: "dl",
                dt { "In the bucket" }
                dd {
                    match existing.size {
                        Some(size) => rsx! { "{text::bytes(size)}" },
                        None => rsx! { span { class: "muted", "Size unknown" } },
                    }
                    if let Some(changed) = existing.changed {
                        span { class: "muted", title: text::exact(changed), ", changed {text::day_and_time(changed)}" }
                    }
                }
                dt { "Your file" }
                dd {
                    "{text::bytes(size)}"
                    if let Some(changed) = yours {
                        span { class: "muted", title: text::exact(changed), ", changed {text::day_and_time(changed)}" }
                    }
                }
            }
            if others > 0 {
                p { class: "label muted", "{text::count(others as i64, \"more name exists\", \"more names exist\")}." }
            }
        }
    }
}
