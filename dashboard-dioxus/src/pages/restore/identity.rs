//! The field for the identity that opens an encrypted backup.

use dioxus::prelude::*;

/// The field for an identity. It may be empty if the server has an identity.
#[component]
pub(in crate::pages) fn IdentityField(value: Signal<String>) -> Element {
    let mut value = value;
    rsx! {
        div { class: "field",
            label { r#for: "age-identity", "Identity" }
            textarea {
                id: "age-identity",
                class: "input mono",
                rows: 3,
                autocomplete: "off",
                spellcheck: "false",
                placeholder: "AGE-SECRET-KEY-1…",
                "aria-describedby": "age-identity-help",
                value: "{value}",
                oninput: move |event| value.set(event.value()),
            }
            p { class: "help", id: "age-identity-help",
                "The backup is encrypted. Enter the content of the identity file that belongs to its public key. Leave \
                 this empty if the server has the identity."
            }
        }
    }
}

/// Returns the identity in the field. `None` if the field is empty.
pub(in crate::pages) fn identity_of(value: &str) -> Option<String> {
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}
