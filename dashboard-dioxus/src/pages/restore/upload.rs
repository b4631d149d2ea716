//! The button "Restore from a file": uploads an archive from the browser directly to the store, and opens its plan.
//!
//! Asks for the identity of an encrypted archive before the upload, so that a missing identity does not cost an upload
//! of up to 5 GiB.

use dioxus::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, File};

use super::{
    identity::{IdentityField, identity_of},
    restore_address,
    sending::{self, Archive, FIELD, Problem, State},
};
use crate::{
    address, dom,
    pages::storage::upload::chosen_files,
    text,
    ui::{CodeText, Dialog, Icon, IconName, Mark, Shape},
};

/// The beginning of a file in the age format.
const AGE_MAGIC: &[u8] = b"age-encryption.org/v1\n";

#[component]
pub(in crate::pages) fn UploadArchive(project: String) -> Element {
    let mut asking = use_signal(|| None::<Archive>);
    let upload = sending::find(&project);
    let (share, problem, planned) = match upload.as_ref().map(|upload| &upload.state) {
        Some(State::Running) => (upload.as_ref().map(sending::Upload::percent), None, None),
        Some(State::Failed(problem)) => (None, Some(problem.clone()), None),
        Some(State::Planned(restore)) => (None, None, Some(restore.clone())),
        None => (None, None, None),
    };
    use_effect(use_reactive!(|planned, project| {
        if let Some(restore) = planned {
            sending::cancel(&project);
            address::go(&restore_address(&project, &restore));
        }
    }));
    let begin = {
        let project = project.clone();
        move |archive: Archive| {
            if archive.is_encrypted {
                asking.set(Some(archive));
            } else {
                sending::start(&project, archive, None);
            }
        }
    };
    let mut again = begin.clone();
    let (chosen_for, cancelled, dismissed) = (project.clone(), project.clone(), project.clone());
    let on_chosen = move |event: FormEvent| {
        let Some(file) = chosen_files(&event).into_iter().next() else { return };
        let mut begin = begin.clone();
        sending::cancel(&chosen_for);
        spawn(async move {
            let is_encrypted = is_encrypted(&file).await;
            begin(Archive { file, is_encrypted, upload: None });
        });
    };
    rsx! {
        span { class: "row wrap",
            if let Some(Problem { message, repeatable }) = problem {
                span { class: "row", role: "alert", Mark { shape: Shape::Failed } span { CodeText { text: message } } }
                if let Some(archive) = repeatable {
                    button { class: "btn", r#type: "button", onclick: move |_| again(archive.clone()), "Try again" }
                }
                button {
                    class: "btn btn-ghost btn-icon",
                    r#type: "button",
                    "aria-label": "Dismiss",
                    onclick: move |_| sending::cancel(&dismissed),
                    Icon { name: IconName::Close }
                }
            }
            if share.is_some() {
                button {
                    class: "btn",
                    r#type: "button",
                    onclick: move |_| sending::cancel(&cancelled),
                    "Cancel upload"
                }
            }
            input { id: FIELD, class: "sr", r#type: "file", tabindex: "-1", "aria-hidden": "true", onchange: on_chosen }
            button {
                class: "btn",
                r#type: "button",
                "aria-disabled": share.is_some(),
                onclick: |_| {
                    if let Some(field) = dom::find(&format!("#{FIELD}")) {
                        field.click();
                    }
                },
                Icon { name: IconName::Upload }
                match share {
                    Some(share) => rsx! { "Uploading, {share} %" },
                    None => rsx! { "Restore from a file" },
                }
            }
            if let Some(archive) = asking() {
                AskIdentity {
                    name: archive.file.name(),
                    size_bytes: archive.file.size() as i64,
                    on_identity: move |identity| {
                        asking.set(None);
                        sending::start(&project, archive.clone(), identity);
                    },
                    on_close: move |()| asking.set(None),
                }
            }
        }
    }
}

/// The dialog that asks for the identity of an encrypted archive.
#[component]
fn AskIdentity(
    name: String,
    size_bytes: i64,
    on_identity: EventHandler<Option<String>>,
    on_close: EventHandler<()>,
) -> Element {
    let identity = use_signal(String::new);
    rsx! {
        Dialog {
            title: "Upload an encrypted archive",
            description: "{name}, {text::bytes(size_bytes)}. After the upload you see a plan; nothing changes until \
                you confirm it.",
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button { class: "btn btn-l", r#type: "button", onclick: move |_| on_close.call(()), "Cancel" }
                button { class: "btn btn-primary btn-l", r#type: "submit", form: "upload-encrypted", "Upload" }
            },
            form {
                id: "upload-encrypted",
                class: "stack",
                onsubmit: move |event: FormEvent| {
                    event.prevent_default();
                    on_identity.call(identity_of(&identity.peek()));
                },
                IdentityField { value: identity }
            }
        }
    }
}

/// Returns whether a file begins like one in the age format. A file that can't be read fails later, in the upload.
async fn is_encrypted(file: &File) -> bool {
    let blob: &Blob = file;
    let Ok(head) = blob.slice_with_f64_and_f64(0.0, AGE_MAGIC.len() as f64) else { return false };
    match JsFuture::from(head.array_buffer()).await {
        Ok(buffer) => js_sys::Uint8Array::new(&buffer).to_vec() == AGE_MAGIC,
        Err(_) => false,
    }
}
