//! The order in which a table is opened to browsers and users: row-level security, a policy, then the access.

use api_types::{TableAccess, TableKind};
use dioxus::prelude::*;

use super::super::table_page::Shared;
use crate::ui::{Mark, Shape};

/// A step, and whether it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    done: bool,
    label: &'static str,
    help: &'static str,
}

/// The steps that open the table. Shown only for tables, which can have policies, until all steps are done.
#[component]
pub(super) fn Steps(detail: Shared) -> Element {
    let exposure = detail.exposure;
    let is_exposed = exposure.publishable != TableAccess::None || exposure.signed_in != TableAccess::None;
    let steps = steps(detail.row_level_security, !detail.policies.is_empty(), is_exposed);
    if detail.kind != TableKind::Table || steps.iter().all(|step| step.done) {
        return rsx! {};
    }
    rsx! {
        section { class: "section", "aria-label": "Open the table to browsers and users",
            div { class: "section-head", h2 { "Open the table to browsers and users" } }
            ol { class: "items", "aria-label": "Open the table to browsers and users",
                for step in steps {
                    li { key: "{step.label}", class: "item",
                        Mark { shape: if step.done { Shape::Succeeded } else { Shape::Queued } }
                        div {
                            h3 {
                                span { class: "sr", if step.done { "Done: " } else { "To do: " } }
                                span { class: if step.done { "muted" }, "{step.label}" }
                            }
                            if !step.done {
                                p { "{step.help}" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn steps(has_security: bool, has_policy: bool, is_exposed: bool) -> [Step; 3] {
    let missing = if has_security && has_policy {
        "Only this step is missing. Choose Read or Write below and save: until then, browsers and users get 404."
    } else {
        "Choose Read or Write below and save."
    };
    [
        Step {
            done: has_security,
            label: "1. Switch on row-level security",
            help: "Then browsers and users reach only rows that a policy allows.",
        },
        Step {
            done: has_policy,
            label: "2. Write a policy",
            help: "A policy says which rows a caller may read or change. Fill in the form of New policy below, or run \
                   a template in SQL.",
        },
        Step { done: is_exposed, label: "3. Give access", help: missing },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_step_says_that_only_it_is_missing() {
        let help = |has_security, has_policy| steps(has_security, has_policy, false)[2].help;
        assert!(help(true, true).starts_with("Only this step is missing."));
        assert!(help(true, false).starts_with("Choose Read or Write"));
        assert!(help(false, true).starts_with("Choose Read or Write"));
        assert!(steps(true, true, true).iter().all(|step| step.done));
    }
}
