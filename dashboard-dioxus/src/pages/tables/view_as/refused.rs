//! The reason why a viewer can't read the table.

use dioxus::prelude::*;

use super::{PUBLISHABLE, viewer};
use crate::{
    address,
    remote::Failure,
    ui::{Empty, ErrorBox, Link},
};

#[component]
pub(in crate::pages::tables) fn Refused(
    project: String,
    table: String,
    failure: Failure,
    on_retry: EventHandler<()>,
) -> Element {
    let callers = if viewer().as_deref() == Some(PUBLISHABLE) { "Visitors" } else { "Signed-in users" };
    let text = match failure.code() {
        Some("unknown_table") => "They have no access to the table, so its policies have no effect yet.".to_owned(),
        _ if failure.is_forbidden() => failure.message(),
        Some("not_found") => {
            return rsx! {
                Empty {
                    title: "This user does not exist",
                    text: "The user was deleted, or the address is wrong. Choose another user.",
                }
            };
        }
        _ => {
            return rsx! { ErrorBox { what: "Rows could not be loaded.", failure: failure.clone(), on_retry } };
        }
    };
    let access = address::with_parameters(
        &format!("/projects/{project}/tables"),
        &[("table", Some(&table)), ("tab", Some("access"))],
    );
    rsx! {
        Empty { title: "{callers} can't read this table", text,
            Link { to: access, class: "btn", "Open Access" }
        }
    }
}
