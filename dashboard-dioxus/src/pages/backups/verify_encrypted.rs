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
    ui::{Dialog, FormError},
};

/// The dialog that asks for the identity, and then starts the verification. It stays open if the server refuses the
/// identity. Whether the identity belongs to the backup is known only when the run reads the backup.
#[component]
pub(super) fn VerifyEncrypted(live: Live, backup: Backup, on_close: EventHandler<()>) -> Element {
    let identity = use_signal(String::new);
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let name = name_of(&backup);
    let verify = {
        let (id, name) = (backup.id.clone(), name.clone());
        move |event: FormEvent| {
            event.prevent_default();
            if busy() {
                return;
            }
            let (id, name) = (id.clone(), name.clone());
            spawn(async move {
                busy.set(true);
                failure.set(None);
                let request = VerifyBackup { identity: identity_of(&identity.peek()) };
                let path = format!("/backups/{id}/verify");
                match remote::send::<_, RunStarted>(Method::Post, &path, &request).await {
                    Ok(started) => {
                        report(live, &id, Ok(started), Work::verification(&name));
                        on_close.call(());
                    }
                    Err(refused) => failure.set(Some(refused.message())),
                }
                busy.set(false);
            });
        }
    };
    rsx! {
        Dialog {
            title: "Verify a backup of {name}",
            description: "The encrypted backup of {text::short_date_and_time(backup.created_at)}.",
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button { class: "btn btn-l", r#type: "button", onclick: move |_| on_close.call(()), "Cancel" }
                button {
                    class: "btn btn-primary btn-l", r#type: "submit", form: "verify-encrypted", "aria-disabled": busy(),
                    "Verify"
                }
            },
            form { id: "verify-encrypted", class: "stack", onsubmit: verify,
                IdentityField { value: identity }
                if let Some(failure) = failure() {
                    FormError { text: failure }
                }
            }
        }
    }
}
