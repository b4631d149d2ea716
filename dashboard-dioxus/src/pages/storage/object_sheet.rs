//! The sheet of one object: a preview, its properties and buttons.

use api_types::{ObjectDetail, SignedDownload};
use dioxus::prelude::*;

use super::{
    deletion::{DeleteDialog, Deleting},
    objects::Open,
    paths,
    preview::Preview,
    transfer::{TransferDialog, Transferring},
    words::{name_of, uploader_in_words},
};
use crate::{
    address, clipboard,
    remote::{self, RemoteState, use_remote},
    text,
    ui::{CopyButton, Empty, ErrorBox, Icon, IconName, Sheet, messages},
};

/// Time after which a frame that started a download is removed.
const DOWNLOAD_FRAME_MS: u32 = 60_000;

#[component]
pub(super) fn ObjectSheet(project: ReadSignal<String>, bucket: ReadSignal<String>, path: String) -> Element {
    let object = paths::object(&project.read(), &bucket.read(), &path);
    let mut detail = use_remote::<ObjectDetail>(use_signal(|| object.clone()).into());
    let open = use_signal(|| Open::Nothing);
    let close = move |()| address::push_parameter("object", None);
    let ready = detail.value();
    let content = match detail.state() {
        RemoteState::Loading => rsx! {
            div { class: "late stack", "aria-busy": "true",
                p { class: "sr", role: "status", "Loading…" }
                span { class: "sk" }
                span { class: "sk" }
                span { class: "sk" }
            }
        },
        RemoteState::Failed(failure) if failure.is_not_found() => rsx! {
            Empty { title: "The object is gone", text: "It was deleted or moved, or the address is wrong.",
                button { class: "btn", r#type: "button", onclick: move |_| close(()), "Back to the list" }
            }
        },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "The object could not be loaded.", failure, on_retry: move |()| detail.refresh() }
        },
        RemoteState::Ready(detail) => rsx! {
            // Dioxus compares keys only in lists, so this is a list of one element: the preview of another object must
            // not stay.
            for object in [detail.object.clone()] {
                Preview { key: "{object.object_key}{object.etag:?}", project, bucket, object }
            }
            Facts { detail }
        },
    };
    rsx! {
        Sheet {
            title: name_of(&path).to_owned(),
            on_close: close,
            footer: ready.map(|detail| rsx! { SheetActs { project, bucket, detail, open } }),
            {content}
        }
        match open() {
            Open::Nothing => rsx! {},
            Open::Delete(deleting) => rsx! {
                DeleteDialog {
                    project: project(),
                    bucket: bucket(),
                    deleting,
                    on_done: move |()| address::replace_parameter("object", None),
                    on_close: move |()| open.clone().set(Open::Nothing),
                }
            },
            Open::Transfer(transferring) => rsx! {
                TransferDialog {
                    project: project(),
                    bucket: bucket(),
                    transferring: transferring.clone(),
                    on_done: move |()| {
                        open.clone().set(Open::Nothing);
                        if !transferring.keeps_object() {
                            address::replace_parameter("object", None);
                        }
                    },
                    on_close: move |()| open.clone().set(Open::Nothing),
                }
            },
        }
    }
}

#[component]
fn Facts(detail: ObjectDetail) -> Element {
    let object = detail.object;
    rsx! {
        dl { class: "dl",
            dt { "Key" }
            dd { class: "mono",
                "{object.object_key} "
                CopyButton { name: "Copy object key", text: object.object_key.clone() }
            }
            dt { "Size" }
            dd { "{text::bytes(object.size)}" span { class: "muted", " ({text::number(object.size)} bytes)" } }
            dt { "Content type" }
            dd { {object.content_type.unwrap_or_else(|| "unknown".to_owned())} }
            if let Some(etag) = object.etag {
                dt { "ETag" }
                dd { class: "mono", "{etag}" }
            }
            if let Some(changed) = object.last_modified {
                dt { "Changed" }
                dd { title: text::exact(changed), "{text::day_and_time(changed)}, {text::age(changed, text::now())}" }
            }
            if let Some(created) = detail.created_at {
                dt { "First seen" }
                dd { title: text::exact(created), "{text::day_and_time(created)}" }
            }
            if let Some(by) = detail.uploaded_by {
                dt { "Uploaded by" }
                dd { "{uploader_in_words(&by)}" }
            }
        }
    }
}

#[component]
fn SheetActs(
    project: ReadSignal<String>,
    bucket: ReadSignal<String>,
    detail: ObjectDetail,
    open: Signal<Open>,
) -> Element {
    let mut open = open;
    let object = detail.object;
    let (path, size) = (object.path.clone(), object.size);
    let (to_rename, to_move, to_copy) = (object.clone(), object.clone(), object);
    rsx! {
        div { class: "row wrap",
            button {
                class: "btn btn-primary",
                r#type: "button",
                onclick: {
                    let path = path.clone();
                    move |_| download(&project.peek(), &bucket.peek(), path.clone())
                },
                Icon { name: IconName::Download }
                "Download"
            }
            button {
                class: "btn",
                r#type: "button",
                onclick: {
                    let path = path.clone();
                    move |_| copy_link(&project.peek(), &bucket.peek(), path.clone())
                },
                "Copy link (1 hour)"
            }
            button {
                class: "btn",
                r#type: "button",
                onclick: move |_| open.set(Open::Transfer(Transferring::rename(to_rename.clone()))),
                "Rename object"
            }
            button {
                class: "btn",
                r#type: "button",
                onclick: move |_| open.set(Open::Transfer(Transferring::relocate(to_move.clone()))),
                "Move object"
            }
            button {
                class: "btn",
                r#type: "button",
                onclick: move |_| open.set(Open::Transfer(Transferring::copy(to_copy.clone()))),
                "Copy object"
            }
            button {
                class: "btn",
                r#type: "button",
                onclick: move |_| open.set(Open::Delete(Deleting::Object { path: path.clone(), size })),
                Icon { name: IconName::Trash }
                "Delete object"
            }
        }
    }
}

/// Copies text to the clipboard, and shows whether that succeeded.
pub(super) fn copy(text: String) {
    spawn(async move {
        if clipboard::copy(&text).await {
            messages::show("Copied");
        } else {
            messages::show_failure(clipboard::REFUSED);
        }
    });
}

/// Copies a URL from which anybody can download the object for an hour.
pub(super) fn copy_link(project: &str, bucket: &str, path: String) {
    let path = paths::signed_download(project, bucket, &path, None);
    spawn(async move {
        match remote::get::<SignedDownload>(&path).await {
            Ok(signed) => copy(signed.download_url),
            Err(failure) => messages::show_failure(failure.message()),
        }
    });
}

/// Saves an object on the computer. The store sends it as an attachment, so the browser stays on the page.
pub(super) fn download(project: &str, bucket: &str, path: String) {
    let request = paths::signed_download(project, bucket, &path, Some(&file_name(&path)));
    dioxus::core::spawn_forever(async move {
        match remote::get::<SignedDownload>(&request).await {
            Ok(signed) => start_download(&signed.download_url),
            Err(failure) => messages::show_failure(failure.message()),
        }
    });
}

/// Returns a name under which browsers save an object: at most 255 bytes.
fn file_name(path: &str) -> String {
    let name = name_of(path);
    let end = (0..=name.len().min(255)).rev().find(|end| name.is_char_boundary(*end)).unwrap_or_default();
    name.get(..end).unwrap_or_default().to_owned()
}

/// Starts a download in a frame of its own, so that several can start at the same time.
fn start_download(url: &str) {
    let Some(document) = crate::dom::document() else { return };
    let (Ok(frame), Some(body)) = (document.create_element("iframe"), document.body()) else { return };
    let _ = frame.set_attribute("hidden", "");
    let _ = frame.set_attribute("title", "Download");
    let _ = frame.set_attribute("src", url);
    let _ = body.append_child(&frame);
    dioxus::core::spawn_forever(async move {
        gloo_timers::future::TimeoutFuture::new(DOWNLOAD_FRAME_MS).await;
        frame.remove();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_cut_between_characters() {
        assert_eq!(file_name("notes/a.png"), "a.png");
        assert_eq!(file_name(&"é".repeat(200)).len(), 254);
    }
}
