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
    /// The dialog that changes the policy with this name.
    Edit(String),
    /// The dialog that deletes the policy with this name.
    Delete(String),
}

#[component]
pub(in crate::pages::tables) fn PolicyMenu(policy: String, dialog: Signal<PolicyDialog>) -> Element {
    let mut dialog = dialog;
    let edited = policy.clone();
    rsx! {
        Menu { name: "Actions for {policy}", icon: IconName::Dots, class: "btn-s",
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
        PolicyDialog::Edit(name) => rsx! { OpenedPolicy { project, detail, name, deletes: false, on_close } },
        PolicyDialog::Delete(name) => rsx! { OpenedPolicy { project, detail, name, deletes: true, on_close } },
    }
}

/// A dialog about a policy as it is when the dialog opens. The dialog keeps this policy: the table is read again before
/// the response to a change arrives, and the policy may then have another name. If somebody else changes the policy
/// meanwhile, the dialog sends nothing.
#[component]
fn OpenedPolicy(project: String, detail: Shared, name: String, deletes: bool, on_close: EventHandler<()>) -> Element {
    let opened: Option<TablePolicy> = use_hook(|| detail.policies.iter().find(|policy| policy.name == name).cloned());
    match opened {
        None => rsx! {},
        Some(policy) if deletes => rsx! { DeletePolicy { project, detail, policy, on_close } },
        Some(policy) => rsx! { PolicyForm { project, detail, policy: Some(policy), on_close } },
    }
}
