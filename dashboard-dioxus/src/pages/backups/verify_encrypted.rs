//! Verifies an encrypted backup.

use api_types::{Backup, RunStarted, VerifyBackup};
use dioxus::prelude::*;

use super::{Live, acts::report, words::name_of};
use crate::{
    pages::{
        restore::{IdentityField, identity_of},
        run_message::Work,
    },
    remote::{self, Method},
    text,
    ui::Dialog,
};

/// The dialog that asks for the identity, and then starts the verification.
#[component]
pub(super) fn VerifyEncrypted(live: Live, backup: Backup, on_close: EventHandler<()>) -> Element {
    let identity = use_signal(String::new);
    let name = name_of(&backup);
    let verify = {
        let (id, name) = (backup.id.clone(), name.clone());
        move |event: FormEvent| {
            event.prevent_default();
            let (id, name) = (id.clone(), name.clone());
            let request = VerifyBackup { identity: identity_of(&identity.peek()) };
            // The task must not end with the dialog.
            dioxus::core::spawn_forever(async move {
                let path = format!("/backups/{id}/verify");
                let started = remote::send::<_, RunStarted>(Method::Post, &path, &request).await;
                report(live, &id, started, Work::verification(&name));
            });
            on_close.call(());
        }
    };
    rsx! {
        Dialog {
            title: "Verify a backup of {name}",
            description: "The encrypted backup of {text::short_date_and_time(backup.created_at)}.",
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button { class: "btn btn-l", r#type: "button", onclick: move |_| on_close.call(()), "Cancel" }
                button { class: "btn btn-primary btn-l", r#type: "submit", form: "verify-encrypted", "Verify" }
            },
            form { id: "verify-encrypted", class: "stack", onsubmit: verify, IdentityField { value: identity } }
        }
    }
}
