//! The page of one bucket, with its tabs and the buttons that upload files.

use api_types::Bucket as BucketData;
use dioxus::prelude::*;

use super::{
    access::Access,
    new_folder::NewFolder,
    object_sheet::ObjectSheet,
    objects::Objects,
    paths, upload,
    upload::{Destination, files},
    words::{exposure_in_words, folder_of},
};
use crate::{
    address,
    frame::page::Page,
    remote::{RemoteState, use_remote},
    text,
    ui::{DropTarget, Empty, ErrorBox, Icon, IconName, Link, LoadingTable, TabLink, TabLinks},
};

#[component]
pub fn Bucket(id: ReadSignal<String>, bucket: ReadSignal<String>) -> Element {
    let mut data = use_remote::<BucketData>(use_memo(move || paths::bucket(&id.read(), &bucket.read())).into());
    let tab = address::use_parameter("tab").filter(|tab| tab == "access").unwrap_or_else(|| "objects".to_owned());
    let prefix = address::use_parameter("prefix").unwrap_or_default();
    let open_object = address::use_parameter("object");
    let is_missing = matches!(data.state(), RemoteState::Failed(failure) if failure.is_not_found());
    let facts = data.value().map(|data| {
        let size = text::bytes(data.object_bytes);
        format!(
            "{}, {size} · {}",
            text::count(data.object_count, "object", "objects"),
            exposure_in_words(data.exposure)
        )
    });
    let count = data.value().map(|data| text::number(data.object_count)).unwrap_or_default();
    let to = Destination { project: id(), bucket: bucket(), folder: folder_of(&prefix).to_owned() };
    let mut is_adding_folder = use_signal(|| false);
    let has_sheet = tab == "objects" && open_object.is_some() && !is_missing;
    let content = match (tab.as_str(), data.state()) {
        (_, RemoteState::Failed(failure)) if failure.is_not_found() => rsx! {
            Empty { title: "No such bucket", text: "It was deleted, or the address is wrong.",
                Link { to: "/projects/{id}/storage", class: "btn", "Open storage" }
            }
        },
        // Dioxus compares keys only in lists, so this is a list of one element: another bucket must create a new form.
        ("access", RemoteState::Ready(data)) => rsx! {
            for data in [data] {
                Access { key: "{data.name}", project: id, bucket: data }
            }
        },
        ("access", RemoteState::Loading) => rsx! { LoadingTable { name: "Access", columns: 2 } },
        ("access", RemoteState::Failed(failure)) => rsx! {
            ErrorBox { what: "The bucket could not be loaded.", failure, on_retry: move |()| data.refresh() }
        },
        _ => rsx! {
            for name in [bucket()] {
                Objects { key: "{name}", project: id, bucket, to: to.clone() }
            }
        },
    };
    rsx! {
        Page { title: bucket(), own_head: true, class: if has_sheet { "has-sheet" } else { "" },
            div { class: "beside bucket",
                div { class: "head",
                    div {
                        h1 { id: "h1", class: "cut", "{bucket}" }
                        p { {facts.unwrap_or_else(|| "\u{a0}".to_owned())} }
                    }
                    if tab == "objects" && !is_missing {
                        div { class: "acts",
                            button {
                                class: "btn only-wide",
                                r#type: "button",
                                onclick: move |_| is_adding_folder.set(true),
                                "New folder"
                            }
                            UploadButtons { to: to.clone() }
                        }
                    }
                }
                if !is_missing {
                    Tabs { project: id, bucket, selected: tab.clone(), count }
                }
                {content}
            }
            if has_sheet && let Some(path) = open_object {
                for path in [path] {
                    ObjectSheet { key: "{path}", project: id, bucket, path }
                }
            }
            if is_adding_folder() && tab == "objects" && !is_missing {
                // The key resets the form when another folder is opened with Back.
                for within in [to.clone()] {
                    NewFolder {
                        key: "{within.bucket}/{within.folder}",
                        within,
                        on_close: move |()| is_adding_folder.set(false),
                    }
                }
            }
            if tab == "objects" && !is_missing {
                DropTarget {
                    on_drop: {
                        let to = to.clone();
                        move |data| {
                            if let Some(dropped) = files::dropped(&data) {
                                let to = to.clone();
                                dioxus::core::spawn_forever(async move { upload::add(&to, dropped.files().await) });
                            }
                        }
                    },
                    "Drop files to upload them to "
                    span { class: "mono", "{to.bucket}/{to.folder}" }
                }
            }
        }
    }
}

/// The buttons that choose files or a folder of the computer.
#[component]
fn UploadButtons(to: Destination) -> Element {
    let (to_files, to_folder) = (to.clone(), to);
    rsx! {
        button { class: "btn only-wide", r#type: "button", onclick: |_| choose("#upload-folder"), "Upload folder" }
        button { class: "btn btn-primary", r#type: "button", onclick: |_| choose("#upload-files"),
            Icon { name: IconName::Upload }
            "Upload files"
        }
        input {
            id: "upload-files",
            r#type: "file",
            multiple: true,
            hidden: true,
            onchange: move |event| start(&to_files, &event),
        }
        input {
            id: "upload-folder",
            r#type: "file",
            multiple: true,
            hidden: true,
            "webkitdirectory": "true",
            onchange: move |event| start(&to_folder, &event),
        }
    }
}

fn start(to: &Destination, event: &FormEvent) {
    let chosen = files::chosen(event);
    if !chosen.is_empty() {
        upload::add(to, chosen);
    }
}

fn choose(field: &str) {
    if let Some(field) = crate::dom::find(field) {
        field.click();
    }
}

#[component]
fn Tabs(project: ReadSignal<String>, bucket: ReadSignal<String>, selected: String, count: String) -> Element {
    rsx! {
        TabLinks {
            name: "Bucket",
            page: "/projects/{project}/storage/{bucket}",
            tabs: vec![TabLink { count, ..TabLink::new("objects", "Objects") }, TabLink::new("access", "Access")],
            selected,
        }
    }
}
