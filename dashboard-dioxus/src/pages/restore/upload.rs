//! The button "Restore from a file": uploads an archive from the browser directly to the store, and opens its plan.
//!
//! Asks for the identity of an encrypted archive before the upload, so that a missing identity does not cost an upload
//! of up to 5 GiB.

use api_types::{PlanUploadRestore, Restore, SignRestoreUpload, SignedRestoreUpload};
use dioxus::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, File};

use super::{
    identity::{IdentityField, identity_of},
    restore_address,
};
use crate::{
    address, dom,
    pages::storage::upload::{Stop, chosen_files, send_file},
    remote::{self, Method},
    text,
    ui::{Dialog, Icon, IconName, Mark, Shape},
};

const FIELD: &str = "restore-file";
/// The beginning of a file in the age format.
const AGE_MAGIC: &[u8] = b"age-encryption.org/v1\n";

#[component]
pub(in crate::pages) fn UploadArchive(project: String) -> Element {
    let mut sent = use_signal(|| None::<(i64, i64)>);
    let mut failure = use_signal(|| None::<String>);
    let mut encrypted = use_signal(|| None::<File>);
    let upload = move |(file, identity): (File, Option<String>)| {
        let project = project.clone();
        spawn(async move {
            sent.set(Some((0, file.size() as i64)));
            let on_sent = move |bytes| sent.set(Some((bytes, file_size(sent()))));
            match plan_from(&project, &file, identity, on_sent).await {
                Ok(restore) => {
                    remote::forget("/restores");
                    address::go(&restore_address(&project, &restore.id));
                }
                Err(problem) => failure.set(Some(problem)),
            }
            sent.set(None);
        });
    };
    let begin = {
        let upload = upload.clone();
        move |event: FormEvent| {
            let Some(file) = chosen_files(&event).into_iter().next() else { return };
            let upload = upload.clone();
            failure.set(None);
            spawn(
                async move { if is_encrypted(&file).await { encrypted.set(Some(file)) } else { upload((file, None)) } },
            );
        }
    };
    let share = sent().map(|(done, total)| if total > 0 { done * 100 / total } else { 0 });
    rsx! {
        span { class: "row wrap",
            if let Some(failure) = failure() {
                span { class: "row", role: "alert", Mark { shape: Shape::Failed } "{failure}" }
            }
            input { id: FIELD, class: "sr", r#type: "file", tabindex: "-1", "aria-hidden": "true", onchange: begin }
            button {
                class: "btn",
                r#type: "button",
                disabled: share.is_some(),
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
            if let Some(file) = encrypted() {
                AskIdentity {
                    name: file.name(),
                    size_bytes: file.size() as i64,
                    on_identity: move |identity| {
                        encrypted.set(None);
                        upload((file.clone(), identity));
                    },
                    on_close: move |()| encrypted.set(None),
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

fn file_size(sent: Option<(i64, i64)>) -> i64 {
    sent.map_or(0, |(_, size)| size)
}

/// Uploads an archive and plans its restore.
async fn plan_from(
    project: &str,
    file: &File,
    identity: Option<String>,
    on_sent: impl FnMut(i64),
) -> Result<Restore, String> {
    let request =
        SignRestoreUpload { project_id: project.to_owned(), file_name: file.name(), size_bytes: file.size() as i64 };
    let signed: SignedRestoreUpload =
        remote::send(Method::Post, "/restores/uploads", &request).await.map_err(|failure| failure.message())?;
    send_file(&signed.upload_url, &signed.headers, file, &Stop::default(), on_sent).await?;
    let plan = PlanUploadRestore { project_id: project.to_owned(), upload_id: signed.upload_id, identity };
    remote::send(Method::Post, "/restores", &plan).await.map_err(|failure| failure.message())
}
