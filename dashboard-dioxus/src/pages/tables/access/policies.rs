//! The menu of a policy, and the dialogs that it opens.

use api_types::TablePolicy;
use dioxus::prelude::*;

use super::{super::table_page::Shared, policy_deletion::DeletePolicy, policy_form::PolicyForm};
use crate::ui::{IconName, Menu, MenuItem};

/// The dialog that is open.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::pages::tables) enum PolicyDialog {
    Closed,
    New,
    Edit(TablePolicy),
    Delete(TablePolicy),
}

#[component]
pub(in crate::pages::tables) fn PolicyMenu(policy: TablePolicy, dialog: Signal<PolicyDialog>) -> Element {
    let mut dialog = dialog;
    let edited = policy.clone();
    rsx! {
        Menu { name: "Actions for {policy.name}", icon: IconName::Dots, class: "btn-s",
            MenuItem {
                icon: Some(IconName::Settings),
                onselect: move |()| dialog.set(PolicyDialog::Edit(edited.clone())),
                "Edit policy"
            }
            hr {}
            MenuItem {
                icon: Some(IconName::Trash),
                danger: true,
                onselect: move |()| dialog.set(PolicyDialog::Delete(policy.clone())),
                "Delete policy"
            }
        }
    }
}

#[component]
pub(super) fn PolicyDialogs(project: String, detail: Shared, dialog: Signal<PolicyDialog>) -> Element {
    let mut dialog = dialog;
    let on_close = move |()| dialog.set(PolicyDialog::Closed);
    match dialog() {
        PolicyDialog::Closed => rsx! {},
        PolicyDialog::New => rsx! { PolicyForm { project, detail, on_close } },
        PolicyDialog::Edit(policy) => rsx! { PolicyForm { project, detail, policy: Some(policy), on_close } },
        PolicyDialog::Delete(policy) => rsx! { DeletePolicy { project, detail, policy, on_close } },
    }
}
