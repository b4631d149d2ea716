//! The dialog "New key".

use api_types::{CreateApiKey, CreatedApiKey, KeyType};
use dioxus::prelude::*;

use super::{
    super::not_saved::NotSaved,
    expiry::{ExpiryField, expiry},
};
use crate::{
    draft,
    remote::{self, Failure, Method},
    ui::{Dialog, Field, FormError},
};

#[component]
pub(super) fn CreateKey(
    project: String,
    on_created: EventHandler<CreatedApiKey>,
    on_close: EventHandler<()>,
) -> Element {
    let form = draft::use_form(|| format!("new-key.{project}"));
    let name = form.use_field("name", String::new());
    let mut key_type = form.use_field("type", KeyType::Publishable);
    let lifetime = form.use_field("lifetime", Some(0_usize));
    let date = form.use_field("date", String::new());
    let mut name_error = use_signal(|| None::<String>);
    let mut date_error = use_signal(|| None::<String>);
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let cancel = move |_| {
        form.forget();
        on_close.call(());
    };
    let create = move |event: FormEvent| {
        event.prevent_default();
        if busy() {
            return;
        }
        let expires_at = expiry(lifetime().unwrap_or_default(), &date.peek());
        name_error.set(name_problem(&name.peek()));
        date_error.set(expires_at.err().map(str::to_owned));
        let (Ok(expires_at), None) = (expires_at, name_error()) else { return };
        let project = project.clone();
        spawn(async move {
            busy.set(true);
            failure.set(None);
            let request = CreateApiKey { key_type: key_type(), name: name.peek().trim().to_owned(), expires_at };
            match remote::send::<_, CreatedApiKey>(Method::Post, &format!("/projects/{project}/keys"), &request).await {
                Ok(created) => {
                    form.forget();
                    on_created.call(created);
                }
                Err(refused) => {
                    remote::forget(&format!("/projects/{project}/keys"));
                    failure.set(Some(not_created(&refused)));
                }
            }
            busy.set(false);
        });
    };
    let is_dirty = !name.read().is_empty()
        || key_type() != KeyType::Publishable
        || lifetime() != Some(0)
        || !date.read().is_empty();
    rsx! {
        Dialog {
            title: "New key",
            // Closing the dialog would end the request's task, and the new key would never be shown.
            closable: !busy(),
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                NotSaved { is_dirty }
                button { class: "btn btn-l", r#type: "button", "aria-disabled": busy(), onclick: cancel, "Cancel" }
                button {
                    class: "btn btn-primary btn-l", r#type: "submit", form: "new-key", "aria-disabled": busy(),
                    "Create key"
                }
            },
            form { id: "new-key", class: "stack", onsubmit: create,
                Field {
                    id: "key-name",
                    label: "Name",
                    value: name,
                    autofocus: true,
                    required: true,
                    error: name_error(),
                    help: "The app that uses the key, for example \"web\". Only you see the name.",
                }
                fieldset { class: "field", role: "radiogroup", "aria-label": "Type",
                    span { class: "lab", "Type" }
                    for (choice, label, id, help) in [
                        (
                            KeyType::Publishable,
                            "Publishable",
                            "publishable-help",
                            "For browsers. It can reach only what you open.",
                        ),
                        (KeyType::Secret, "Secret", "secret-help", "For servers. It can read and write everything."),
                    ] {
                        label { key: "{label}", class: "check",
                            input {
                                class: "box",
                                r#type: "radio",
                                name: "key-type",
                                "aria-label": label,
                                "aria-describedby": id,
                                checked: key_type() == choice,
                                onchange: move |_| key_type.set(choice),
                            }
                            span { "{label}" small { id, "{help}" } }
                        }
                    }
                }
                ExpiryField { lifetime, date, error: date_error() }
                if let Some(failure) = failure() {
                    FormError { text: failure }
                }
            }
        }
    }
}

/// Returns why the name of a key is invalid. `None` if it is valid.
pub(super) fn name_problem(name: &str) -> Option<String> {
    name.trim().is_empty().then(|| "Enter a name.".to_owned())
}

/// Returns the error to show if no new key was received.
pub(super) fn not_created(failure: &Failure) -> String {
    if failure.is_outcome_unknown() {
        return "The server did not respond. If a new key is in the list, its value was never shown: revoke it, and try \
                again."
            .to_owned();
    }
    failure.message()
}
