//! The dialog "Edit key".

use api_types::{ApiKey, UpdateApiKey};
use dioxus::prelude::*;

use super::{
    super::not_saved::NotSaved,
    create::name_problem,
    expiry::{ExpiryField, expiry},
};
use crate::{
    draft,
    remote::{self, Method},
    text,
    ui::{Dialog, Field, FormError, messages},
};

/// The dialog that changes the name and the expiry of a key.
#[component]
pub(super) fn EditKey(
    project: String,
    api_key: ApiKey,
    on_saved: EventHandler<()>,
    on_close: EventHandler<()>,
) -> Element {
    let form = draft::use_form(|| format!("edit-key.{}", api_key.id));
    let name = form.use_field("name", api_key.name.clone());
    // `None` keeps the expiry.
    let lifetime = form.use_field("lifetime", None::<usize>);
    let date = form.use_field("date", String::new());
    let is_dirty = *name.read() != api_key.name || lifetime().is_some() || !date.read().is_empty();
    let cancel = move |_| {
        form.forget();
        on_close.call(());
    };
    let mut name_error = use_signal(|| None::<String>);
    let mut date_error = use_signal(|| None::<String>);
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let path = format!("/projects/{project}/keys/{}", api_key.id);
    let kept = match api_key.expires_at {
        None => "Unchanged: never expires".to_owned(),
        Some(at) => format!("Unchanged: expires in {}", text::until(at, text::now())),
    };
    let save = move |event: FormEvent| {
        event.prevent_default();
        if busy() {
            return;
        }
        let expires_at = lifetime().map(|lifetime| expiry(lifetime, &date.peek())).transpose();
        name_error.set(name_problem(&name.peek()));
        date_error.set(expires_at.err().map(str::to_owned));
        let (Ok(expires_at), None) = (expires_at, name_error()) else { return };
        let path = path.clone();
        spawn(async move {
            busy.set(true);
            failure.set(None);
            let change = UpdateApiKey { name: Some(name.peek().trim().to_owned()), expires_at };
            match remote::send::<_, ApiKey>(Method::Patch, &path, &change).await {
                Ok(_) => {
                    form.forget();
                    messages::show("Key saved");
                    on_saved.call(());
                }
                Err(refused) => failure.set(Some(refused.message())),
            }
            busy.set(false);
        });
    };
    rsx! {
        Dialog {
            title: "Edit key",
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                NotSaved { is_dirty }
                button { class: "btn btn-l", r#type: "button", onclick: cancel, "Cancel" }
                button {
                    class: "btn btn-primary btn-l", r#type: "submit", form: "edit-key", "aria-disabled": busy(),
                    "Save key"
                }
            },
            form { id: "edit-key", class: "stack", onsubmit: save,
                Field {
                    id: "key-name", label: "Name", value: name, required: true, autofocus: true, error: name_error()
                }
                ExpiryField { kept, lifetime, date, error: date_error() }
                if let Some(failure) = failure() {
                    FormError { text: failure }
                }
            }
        }
    }
}
