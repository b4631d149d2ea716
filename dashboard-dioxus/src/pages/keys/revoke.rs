//! The dialog "Revoke key".

use api_types::{ApiKey, KeyType};
use chrono::Duration;
use dioxus::prelude::*;

use super::list::full_name;
use crate::{
    remote, text,
    ui::{Confirm, messages},
};

#[component]
pub(super) fn RevokeKey(
    project: String,
    api_key: ApiKey,
    /// Whether no other active key has this type.
    is_last: bool,
    on_revoked: EventHandler<()>,
    on_close: EventHandler<()>,
) -> Element {
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let named = full_name(&api_key);
    let now = text::now();
    let used = api_key
        .last_used_at
        .map_or_else(|| "Never used.".to_owned(), |time| format!("Last used {}.", text::age(time, now)));
    // The owner must type the name only of a key that was used within 30 days.
    let is_recent = api_key.last_used_at.is_some_and(|time| now - time < Duration::days(30));
    let last = match api_key.key_type {
        _ if !is_last => "",
        KeyType::Publishable => {
            " It is the last publishable key: no app in a browser can use the project until you create another one."
        }
        KeyType::Secret => " It is the last secret key: no server can use the project until you create another one.",
    };
    let path = format!("/projects/{project}/keys/{}", api_key.id);
    rsx! {
        Confirm {
            act: "Revoke key",
            description: "{named}: {used} Requests with it fail within a second. This can't be undone.{last}",
            typed: is_recent.then(|| api_key.name.clone()),
            busy: busy(),
            closable: !busy(),
            failure: failure(),
            on_confirm: move |()| {
                let path = path.clone();
                spawn(async move {
                    busy.set(true);
                    match remote::delete(&path).await {
                        Ok(()) => {
                            messages::show("Key revoked");
                            on_revoked.call(());
                        }
                        Err(refused) => failure.set(Some(refused.message())),
                    }
                    busy.set(false);
                });
            },
            on_close: move |()| on_close.call(()),
        }
    }
}
