//! The dialogs that create and delete a bucket, and the conversion between bytes and megabytes.

use api_types::{Bucket, CreateBucket, DeleteBucket, ObjectCount};
use dioxus::prelude::*;

use super::{super::not_saved::NotSaved, paths};
use crate::{
    draft,
    remote::{self, Method, RemoteState, use_remote},
    text,
    ui::{Confirm, Dialog, Field, messages},
};

/// Parses a number of megabytes such as `50` and returns it in bytes. Returns `None` if the text is empty.
pub(super) fn megabytes(text: &str) -> Result<Option<i64>, &'static str> {
    let text = text.trim().replace(',', ".");
    if text.is_empty() {
        return Ok(None);
    }
    let amount = text.parse::<f64>().ok().filter(|amount| amount.is_finite() && *amount > 0.0);
    let bytes = amount.map(|amount| (amount * 1e6).round() as i64).filter(|bytes| *bytes > 0);
    bytes.map(Some).ok_or("Enter a number of megabytes, for example 50.")
}

/// Returns bytes as a number of megabytes, without zeros at the end. From 1 MB, it is rounded to two decimal places.
pub(super) fn in_megabytes(bytes: i64) -> String {
    let amount = bytes as f64 / 1e6;
    let text = if amount < 1.0 { format!("{amount:.6}") } else { format!("{amount:.2}") };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[component]
pub(super) fn NewBucket(project: String, on_created: EventHandler<Bucket>, on_close: EventHandler<()>) -> Element {
    let form = draft::use_form(|| format!("new-bucket.{project}"));
    let name = form.use_field("name", String::new());
    let limit = form.use_field("limit", String::new());
    let is_dirty = !name.read().is_empty() || !limit.read().is_empty();
    let cancel = move |_| {
        form.forget();
        on_close.call(());
    };
    let mut name_error = use_signal(|| None::<String>);
    let mut limit_error = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let mut create = move || {
        let max_object_bytes = match megabytes(&limit.peek()) {
            Ok(bytes) => bytes,
            Err(problem) => return limit_error.set(Some(problem.to_owned())),
        };
        limit_error.set(None);
        name_error.set(None);
        let path = paths::buckets(&project);
        spawn(async move {
            busy.set(true);
            let request = CreateBucket { name: name.peek().trim().to_owned(), max_object_bytes };
            match remote::send::<_, Bucket>(Method::Post, &path, &request).await {
                Ok(bucket) => {
                    form.forget();
                    remote::forget(&path);
                    messages::show("Bucket created");
                    on_created.call(bucket);
                }
                Err(failure) if failure.field() == Some("maxObjectBytes") => {
                    limit_error.set(Some(failure.message()));
                }
                Err(failure) => name_error.set(Some(failure.message())),
            }
            busy.set(false);
        });
    };
    rsx! {
        Dialog {
            title: "New bucket",
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                NotSaved { is_dirty }
                button { class: "btn btn-l", r#type: "button", onclick: cancel, "Cancel" }
                button {
                    class: "btn btn-primary btn-l", r#type: "submit", form: "new-bucket", "aria-disabled": busy(),
                    "Create bucket"
                }
            },
            form {
                id: "new-bucket",
                class: "stack",
                onsubmit: move |event| {
                    event.prevent_default();
                    create();
                },
                Field {
                    id: "bucket-name",
                    label: "Name",
                    value: name,
                    autofocus: true,
                    required: true,
                    help: "1–63 lowercase letters, digits, - and _, starting with a letter or digit. The name is \
                           part of every object's key.",
                    error: name_error(),
                }
                Field {
                    id: "bucket-limit",
                    label: "Maximum object size (MB)",
                    value: limit,
                    help: "If empty, the limit of the server applies (ATLASHUB_MAX_OBJECT_BYTES).",
                    error: limit_error(),
                }
            }
        }
    }
}

/// The dialog that asks for the bucket's name before the bucket and its objects are deleted. The server counts the
/// objects when the dialog opens.
#[component]
pub(super) fn DeleteBucketDialog(
    project: String,
    bucket: Bucket,
    on_deleted: EventHandler<()>,
    on_close: EventHandler<()>,
) -> Element {
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let path = paths::bucket(&project, &bucket.name);
    let count_path = paths::count(&project, &bucket.name, "");
    // The count of an earlier dialog may be outdated.
    use_hook(|| remote::forget(&count_path));
    let count = use_remote::<ObjectCount>(use_signal(|| count_path.clone()).into());
    let lost = match count.state() {
        RemoteState::Loading => "Counting objects…".to_owned(),
        RemoteState::Ready(count) if count.object_count == 0 => "It has no objects.".to_owned(),
        RemoteState::Ready(count) => {
            format!(
                "{} will be deleted with it. This can't be undone.",
                counted(count.object_count, count.object_bytes, count.complete)
            )
        }
        RemoteState::Failed(_) => {
            format!(
                "the objects could not be counted. By the last count, {} will be deleted with it. This can't be \
                 undone.",
                counted(bucket.object_count, bucket.object_bytes, true)
            )
        }
    };
    let list = paths::buckets(&project);
    rsx! {
        Confirm {
            act: "Delete bucket",
            description: "{bucket.name}: {lost}",
            typed: bucket.name.clone(),
            busy: busy() || count.state() == RemoteState::Loading,
            closable: !busy(),
            failure: failure(),
            on_confirm: move |()| {
                let (path, list, confirm) = (path.clone(), list.clone(), bucket.name.clone());
                spawn(async move {
                    busy.set(true);
                    match remote::send::<_, ()>(Method::Delete, &path, &DeleteBucket { confirm }).await {
                        Ok(()) => {
                            remote::forget(&list);
                            messages::show("Bucket deleted");
                            on_deleted.call(());
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

/// Returns the number and size of objects as text, for example `1 204 objects (2.1 GB)`. Starts with `more than` if not
/// all objects were counted.
pub(super) fn counted(objects: i64, bytes: i64, complete: bool) -> String {
    let more = if complete { "" } else { "more than " };
    format!("{more}{} ({})", text::count(objects, "object", "objects"), text::bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_typed_in_megabytes() {
        for (text, expected) in [("", Ok(None)), ("50", Ok(Some(50_000_000))), (" 0,5 ", Ok(Some(500_000)))] {
            assert_eq!(megabytes(text), expected, "{text}");
        }
        for text in ["0", "-1", "x", "inf", "1e"] {
            assert!(megabytes(text).is_err(), "{text}");
        }
        for (bytes, expected) in
            [(50_000_000, "50"), (500_000, "0.5"), (52_428_800, "52.43"), (5_368_709_120, "5368.71")]
        {
            assert_eq!(in_megabytes(bytes), expected);
        }
    }
}
