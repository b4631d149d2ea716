//! The region "Next steps" of a project's page.

use api_types::{Page as ApiPage, ProjectDetail, Protection};
use dioxus::prelude::*;

use crate::{
    pages::backups::schedule_address,
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
    // If the number of tables could not be read, this step counts as done.
    let has_table = detail.totals.table_count.is_none_or(|count| count > 0);
    let has_used_keys = detail.totals.keys_last_used_at.is_some();
    if has_table && has_used_keys && has_job {
        return rsx! {};
    }
    let schedule = schedule_address(&format!("project:{id}"), &detail.project.name);
    rsx! {
        section { class: "section", "aria-label": "Next steps",
            div { class: "section-head", h2 { "Next steps" } }
            ol { class: "items", "aria-label": "Next steps",
                Step { done: has_table, to: "/projects/{id}/tables", label: "Create a table",
                    "A server with the secret key can use the table at once. Browsers can once you give them access."
                }
                Step { done: has_used_keys, to: "/projects/{id}/keys", label: "Put the keys into your app",
                    "This step is done when a key is used for the first time. You can create a new key at any time."
                }
                Step { done: has_job, to: schedule, label: "Schedule a backup",
                    "For example every night at 02:00."
                }
            }
        }
    }
}

#[component]
fn Step(done: bool, to: String, label: String, children: Element) -> Element {
    rsx! {
        li { class: "item",
            Mark { shape: if done { Shape::Succeeded } else { Shape::Queued } }
            div {
                h3 {
                    span { class: "sr", if done { "Done: " } else { "To do: " } }
                    if done {
                        span { class: "muted", "{label}" }
                    } else {
                        Link { to, "{label}" }
                    }
                }
                if !done {
                    p { {children} }
                }
            }
        }
    }
}
