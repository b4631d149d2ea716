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
    remote::{self, Failure, Method},
    text,
    ui::{CodeText, Dialog, Icon, IconName, Mark, Shape},
};

const FIELD: &str = "restore-file";
/// The beginning of a file in the age format.
const AGE_MAGIC: &[u8] = b"age-encryption.org/v1\n";

/// An archive that the owner chose.
#[derive(Debug, Clone, PartialEq)]
struct Archive {
    file: File,
    is_encrypted: bool,
    /// Id of its upload, once a URL was signed.
    upload: Option<String>,
}

/// The reason why no plan was created.
#[derive(Debug, Clone, PartialEq)]
struct Problem {
    message: String,
    /// The archive, if another attempt may succeed. A finished upload is not repeated.
    repeatable: Option<Archive>,
}

#[component]
pub(in crate::pages) fn UploadArchive(project: String) -> Element {
    let mut sent = use_signal(|| None::<(i64, i64)>);
    let mut problem = use_signal(|| None::<Problem>);
    let mut asking = use_signal(|| None::<Archive>);
    let upload = use_callback(move |(project, archive, identity): (String, Archive, Option<String>)| {
        spawn(async move {
            problem.set(None);
            sent.set(Some((0, archive.file.size() as i64)));
            let on_sent = move |bytes| sent.set(Some((bytes, file_size(sent()))));
            match plan_from(&project, archive, identity, on_sent).await {
                Ok(restore) => {
                    remote::forget("/restores");
                    address::go(&restore_address(&project, &restore.id));
                }
                Err(found) => problem.set(Some(found)),
            }
            sent.set(None);
        });
    });
    let begin = {
        let project = project.clone();
        move |archive: Archive| {
            if archive.is_encrypted {
                asking.set(Some(archive));
            } else {
                upload.call((project.clone(), archive, None));
            }
        }
    };
    let mut again = begin.clone();
    let on_chosen = move |event: FormEvent| {
        let Some(file) = chosen_files(&event).into_iter().next() else { return };
        let mut begin = begin.clone();
        problem.set(None);
        spawn(async move {
            let is_encrypted = is_encrypted(&file).await;
            begin(Archive { file, is_encrypted, upload: None });
        });
    };
    let share = sent().map(|(done, total)| if total > 0 { done * 100 / total } else { 0 });
    rsx! {
        span { class: "row wrap",
            if let Some(Problem { message, repeatable }) = problem() {
                span { class: "row", role: "alert", Mark { shape: Shape::Failed } span { CodeText { text: message } } }
                if let Some(archive) = repeatable {
                    button { class: "btn", r#type: "button", onclick: move |_| again(archive.clone()), "Try again" }
                }
            }
            input { id: FIELD, class: "sr", r#type: "file", tabindex: "-1", "aria-hidden": "true", onchange: on_chosen }
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
            if let Some(archive) = asking() {
                AskIdentity {
                    name: archive.file.name(),
                    size_bytes: archive.file.size() as i64,
                    on_identity: move |identity| {
                        asking.set(None);
                        upload.call((project.clone(), archive.clone(), identity));
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

fn file_size(sent: Option<(i64, i64)>) -> i64 {
    sent.map_or(0, |(_, size)| size)
}

/// Uploads an archive, unless it is in storage already, and plans its restore.
async fn plan_from(
    project: &str,
    mut archive: Archive,
    identity: Option<String>,
    on_sent: impl FnMut(i64),
) -> Result<Restore, Problem> {
    match sign(project, &archive).await {
        Ok(signed) => {
            archive.upload = Some(signed.upload_id);
            let sent = send_file(&signed.upload_url, &signed.headers, &archive.file, &Stop::default(), on_sent).await;
            if let Err(message) = sent {
                return Err(Problem { message, repeatable: Some(archive) });
            }
        }
        // The archive has arrived in an earlier attempt.
        Err(failure) if archive.upload.is_some() && failure.code() == Some("conflict") => {}
        Err(failure) => return Err(archive.not_planned(&failure)),
    }
    let upload_id = archive.upload.clone().unwrap_or_default();
    let plan = PlanUploadRestore { project_id: project.to_owned(), upload_id, identity };
    remote::send(Method::Post, "/restores", &plan).await.map_err(|failure| archive.not_planned(&failure))
}

/// Signs the upload of an archive. After a failed attempt, signs the same upload again.
async fn sign(project: &str, archive: &Archive) -> Result<SignedRestoreUpload, Failure> {
    if let Some(upload) = &archive.upload {
        return remote::send(Method::Post, &format!("/restores/uploads/{upload}/sign"), &serde_json::json!({})).await;
    }
    let file = &archive.file;
    let request =
        SignRestoreUpload { project_id: project.to_owned(), file_name: file.name(), size_bytes: file.size() as i64 };
    remote::send(Method::Post, "/restores/uploads", &request).await
}

impl Archive {
    /// Returns the problem for a request that failed. An uploaded encrypted archive can always be tried again, because
    /// another identity may open it.
    fn not_planned(self, failure: &Failure) -> Problem {
        let can_repeat = failure.is_temporary() || (self.is_encrypted && self.upload.is_some());
        Problem { message: failure.message(), repeatable: can_repeat.then_some(self) }
    }
}
