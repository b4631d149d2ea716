//! The tab "Access": who can reach the objects, and how large one may be.

use api_types::{Bucket, BucketAccess, UpdateBucket};
use dioxus::prelude::*;

use super::{
    super::allowed_origins::NoOriginsNote,
    bucket_forms::{DeleteBucketDialog, in_megabytes, megabytes},
    paths,
    words::{access_in_words, exposure_in_words},
};
use crate::{
    address, draft,
    remote::{self, Method},
    text,
    ui::{CodeText, Field, Mark, Shape, messages},
};

#[component]
pub(super) fn Access(project: ReadSignal<String>, bucket: Bucket) -> Element {
    let path = paths::bucket(&project.read(), &bucket.name);
    let form = draft::use_form(|| format!("bucket.{path}"));
    let mut publishable = form.use_field("publishable", bucket.exposure.publishable);
    let mut signed_in = form.use_field("signed-in", bucket.exposure.signed_in);
    let saved_limit = in_megabytes(bucket.max_object_bytes);
    let mut limit = form.use_field("limit", saved_limit.clone());
    let mut limit_error = use_signal(|| None::<String>);
    let mut error = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let mut deleting = use_signal(|| false);
    let is_dirty = publishable() != bucket.exposure.publishable
        || signed_in() != bucket.exposure.signed_in
        || *limit.read() != saved_limit;
    let is_open = bucket.exposure.publishable != BucketAccess::None || bucket.exposure.signed_in != BucketAccess::None;
    let opens_upload = publishable().allows_upload() && !bucket.exposure.publishable.allows_upload();
    let unchanged = saved_limit.clone();
    let submit = move |event: FormEvent| {
        event.prevent_default();
        if busy() || !is_dirty {
            return;
        }
        let max_object_bytes = match megabytes(&limit.peek()) {
            // The field shows the saved limit rounded.
            Ok(Some(_)) if *limit.peek() == unchanged => None,
            Ok(Some(bytes)) => Some(bytes),
            Ok(None) => return limit_error.set(Some("Enter the maximum object size.".to_owned())),
            Err(problem) => return limit_error.set(Some(problem.to_owned())),
        };
        limit_error.set(None);
        let path = path.clone();
        let list = paths::buckets(&project.peek());
        spawn(async move {
            busy.set(true);
            let change =
                UpdateBucket { max_object_bytes, publishable: Some(publishable()), signed_in: Some(signed_in()) };
            match remote::send::<_, Bucket>(Method::Patch, &path, &change).await {
                Ok(saved) => {
                    error.set(None);
                    limit.set(in_megabytes(saved.max_object_bytes));
                    remote::forget(&list);
                    messages::show("Access saved");
                }
                Err(failure) if failure.field() == Some("maxObjectBytes") => {
                    limit_error.set(Some(failure.message()));
                }
                Err(failure) => error.set(Some(failure.message())),
            }
            busy.set(false);
        });
    };
    rsx! {
        div { class: "section pt-4",
            p { class: "mb-4", "Currently, {exposure_in_words(bucket.exposure)}." }
            form { class: "form", onsubmit: submit,
                if is_open {
                    NoOriginsNote { project }
                }
                AccessChoice {
                    label: "Publishable key",
                    help: "Requests with only the key, for example of visitors who are not signed in.",
                    value: publishable(),
                    on_choose: move |access| publishable.set(access),
                }
                if opens_upload {
                    div { class: "banner t-warning", role: "note",
                        Mark { shape: Shape::Attention }
                        p { "Anyone on the internet can upload objects until the store is full." }
                    }
                }
                AccessChoice {
                    label: "Signed-in users",
                    help: "Requests with the access token of a user of your app, in addition to a key. They have \
                           only the access that you choose here.",
                    value: signed_in(),
                    on_choose: move |access| signed_in.set(access),
                }
                Field {
                    id: "bucket-limit",
                    label: "Maximum object size (MB)",
                    value: limit,
                    required: true,
                    help: "Larger uploads are refused. The limit applies to uploads that start after it is saved. The \
                           saved limit is {text::bytes(bucket.max_object_bytes)}.",
                    error: limit_error(),
                }
                if let Some(error) = error() {
                    p { class: "error", role: "alert", Mark { shape: Shape::Failed } span { CodeText { text: error } } }
                }
                div { class: "row",
                    button {
                        class: "btn btn-primary btn-l", r#type: "submit", "aria-disabled": busy() || !is_dirty,
                        "Save access"
                    }
                    if is_dirty {
                        button {
                            class: "btn btn-l",
                            r#type: "button",
                            onclick: {
                                let exposure = bucket.exposure;
                                let saved = saved_limit.clone();
                                move |_| {
                                    publishable.set(exposure.publishable);
                                    signed_in.set(exposure.signed_in);
                                    limit.set(saved.clone());
                                    limit_error.set(None);
                                    error.set(None);
                                }
                            },
                            "Cancel"
                        }
                        span { class: "label muted", role: "status", "Not saved" }
                    }
                }
            }
        }
        section { class: "section pt-6", "aria-label": "Deletion",
            div { class: "section-head", h2 { "Delete this bucket" } }
            p { class: "muted mb-2", "Its objects are deleted with it. This can't be undone." }
            button { class: "btn", r#type: "button", onclick: move |_| deleting.set(true), "Delete bucket" }
        }
        if deleting() {
            DeleteBucketDialog {
                project: project(),
                bucket: bucket.clone(),
                on_deleted: move |()| address::go(&format!("/projects/{project}/storage")),
                on_close: move |()| deleting.set(false),
            }
        }
    }
}

#[component]
fn AccessChoice(
    label: &'static str,
    help: &'static str,
    value: BucketAccess,
    on_choose: EventHandler<BucketAccess>,
) -> Element {
    rsx! {
        fieldset { class: "field", role: "radiogroup", "aria-label": label,
            span { class: "lab", "{label}" }
            p { class: "help", "{help}" }
            div { class: "row wrap gap-4",
                for access in BucketAccess::ALL {
                    label { key: "{access.as_str()}", class: "check",
                        input {
                            class: "box",
                            r#type: "radio",
                            name: "{label}",
                            checked: value == *access,
                            onchange: move |_| on_choose.call(*access),
                        }
                        "{access_in_words(*access)}"
                    }
                }
            }
        }
    }
}
