use api_types::{Page as ApiPage, ProjectDetail, Protection};
use dioxus::prelude::*;

use crate::{
    remote::use_remote,
    ui::{Link, Mark, Shape},
};

/// The steps to set up a new project. Hidden once all are done.
#[component]
pub(super) fn NextSteps(detail: ProjectDetail) -> Element {
    let protection = use_remote::<ApiPage<Protection>>(use_signal(|| "/backups/protection".to_owned()).into());
    let id = detail.project.id.clone();
    let Some(protection) = protection.value() else { return rsx! {} };
    let has_job = protection.items.iter().any(|target| target.project_id.as_ref() == Some(&id) && target.job.is_some());
    // A number that could not be read counts as done.
    let has_table = detail.totals.table_count.is_none_or(|count| count > 0);
    let has_used_keys = detail.totals.keys_last_used_at.is_some();
    if has_table && has_used_keys && has_job {
        return rsx! {};
    }
    rsx! {
        section { class: "section", "aria-label": "Next steps",
            div { class: "section-head", h2 { "Next steps" } }
            ol { class: "stack stack-2", "aria-label": "Next steps",
                Step { done: has_table, to: "/projects/{id}/tables", label: "Make a table",
                    "It has a REST address at once."
                }
                Step { done: has_used_keys, to: "/projects/{id}/keys", label: "Put the keys into your app",
                    "Done as soon as a key is used. You can create a new key at any time."
                }
                Step { done: has_job, label: "Schedule a backup",
                    "A job of the plugin backup, for example every night."
                }
            }
        }
    }
}

#[component]
fn Step(done: bool, #[props(default)] to: String, label: String, children: Element) -> Element {
    rsx! {
        li { class: "row items-start",
            Mark { shape: if done { Shape::Succeeded } else { Shape::Queued } }
            span { class: "sr", if done { "Done:" } else { "To do:" } }
            if to.is_empty() || done {
                span { class: if done { "muted" }, "{label}" }
            } else {
                Link { to, "{label}" }
            }
            if !done {
                span { class: "muted", {children} }
            }
        }
    }
}
