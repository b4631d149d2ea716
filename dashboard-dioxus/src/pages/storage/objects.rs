//! The tab "Objects": the folders and objects directly in one folder.

use std::collections::BTreeMap;

use api_types::{ObjectPage, StoredObject};
use dioxus::prelude::*;

use super::{
    super::cursor_paging::{CursorPaging, EmptyPage, page_size},
    deletion::{DeleteDialog, Deleting, Deletions},
    folder_path::{FolderPath, PrefixFilter},
    menus::{FolderMenu, ObjectMenu},
    object_sheet::download,
    paths,
    selection::{Selected, Selection, select, select_all, selected_of},
    transfer::{TransferDialog, Transferring},
    unfinished::UnfinishedUploads,
    upload::Destination,
    words::{folder_of, name_of, object_icon},
};
use crate::{
    address,
    remote::{Failure, RemoteState, use_remote},
    text,
    ui::{Empty, ErrorBox, Icon, IconName, Link, LoadingTable, narrow::use_is_narrow},
};

const PAGE_SIZES: &[u32] = &[50, 100, 200];
const DEFAULT_SIZE: u32 = 100;

/// The dialog that is open over the list.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Open {
    Nothing,
    Delete(Deleting),
    Transfer(Transferring),
}

/// The state that all rows of a list share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct List {
    pub(super) project: ReadSignal<String>,
    pub(super) bucket: ReadSignal<String>,
    pub(super) selection: Selection,
    pub(super) open: Signal<Open>,
}

#[component]
pub(super) fn Objects(project: ReadSignal<String>, bucket: ReadSignal<String>, to: Destination) -> Element {
    let prefix = address::use_parameter("prefix").unwrap_or_default();
    let cursor = address::use_parameter("after");
    let limit = page_size(PAGE_SIZES, DEFAULT_SIZE).to_string();
    let folder = folder_of(&prefix).to_owned();
    let path = paths::objects(&project.read(), &bucket.read(), &prefix, &limit, cursor.as_deref());
    let mut page = use_remote::<ObjectPage>(use_memo(use_reactive!(|path| path)).into());
    let mut selection: Selection = use_signal(BTreeMap::new);
    // Objects of another folder must not be deleted with those of this folder.
    use_effect(use_reactive!(|folder| {
        let _ = folder;
        selection.set(BTreeMap::new());
    }));
    let next = match page.state() {
        RemoteState::Ready(page) if page.items.is_empty() && page.prefixes.is_empty() => page.next_cursor,
        _ => None,
    };
    let has_more = next.is_some();
    // A page can be empty before the end of the list, while uploads that have just arrived are moved to their paths.
    use_effect(use_reactive!(|next| {
        if let Some(next) = next {
            address::replace_parameter("after", Some(&next));
        }
    }));
    let mut open = use_signal(|| Open::Nothing);
    let list = List { project, bucket, selection, open };
    let is_filtered = prefix != folder;
    let content = match page.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Objects in {bucket}", columns: 5 } },
        RemoteState::Ready(_) if has_more => rsx! { LoadingTable { name: "Objects in {bucket}", columns: 5 } },
        RemoteState::Failed(failure) => rsx! { NotListed { failure, on_retry: move |()| page.refresh() } },
        // The address has an offset only if the user turned pages. Skipping an empty first page does not set it.
        RemoteState::Ready(page)
            if page.items.is_empty() && page.prefixes.is_empty() && address::parameter("offset").is_some() =>
        {
            rsx! { EmptyPage { entries: "objects" } }
        }
        RemoteState::Ready(page) if page.items.is_empty() && page.prefixes.is_empty() && is_filtered => rsx! {
            Empty { title: "No name starts with this", text: "The filter is case-sensitive.",
                button {
                    class: "btn",
                    r#type: "button",
                    onclick: {
                        let folder = folder.clone();
                        move |_| {
                            let folder = Some(folder.as_str()).filter(|folder| !folder.is_empty());
                            address::replace_parameter("prefix", folder);
                        }
                    },
                    "Clear filters"
                }
            }
        },
        RemoteState::Ready(page) if page.items.is_empty() && page.prefixes.is_empty() => rsx! {
            Empty {
                title: "No objects",
                text: if folder.is_empty() {
                    "Drop files here, or choose them. A folder exists as long as an object is in it.".to_owned()
                } else {
                    format!("Drop files here, or choose them. The folder {folder} exists once a file is in it.")
                },
                button {
                    class: "btn btn-primary",
                    r#type: "button",
                    onclick: |_| {
                        if let Some(field) = crate::dom::find("#upload-files") {
                            field.click();
                        }
                    },
                    "Upload files"
                }
            }
        },
        RemoteState::Ready(current) => rsx! {
            ObjectList { list, page: current.clone() }
            CursorPaging {
                shown: current.items.len() + current.prefixes.len(),
                next_cursor: current.next_cursor,
                updated_at: page.updated_at(),
                sizes: PAGE_SIZES,
                default_size: DEFAULT_SIZE,
                on_refresh: move |()| page.refresh(),
            }
        },
    };
    rsx! {
        div { class: "toolbar pt-3",
            PrefixFilter { prefix }
            FolderPath { project, bucket, folder: to.folder }
            SelectionActs { list }
        }
        Deletions { project, bucket }
        UnfinishedUploads { project, bucket }
        {content}
        match open() {
            Open::Nothing => rsx! {},
            Open::Delete(deleting) => rsx! {
                DeleteDialog {
                    project: project(),
                    bucket: bucket(),
                    deleting,
                    on_done: move |()| {
                        selection.set(BTreeMap::new());
                        open.set(Open::Nothing);
                    },
                    on_close: move |()| open.set(Open::Nothing),
                }
            },
            Open::Transfer(transferring) => rsx! {
                TransferDialog {
                    project: project(),
                    bucket: bucket(),
                    transferring: transferring.clone(),
                    on_done: move |()| {
                        if !transferring.keeps_object() {
                            selection.write().remove(transferring.path());
                        }
                        open.set(Open::Nothing);
                    },
                    on_close: move |()| open.set(Open::Nothing),
                }
            },
        }
    }
}

/// The error that is shown if the store can't list its objects. The settings of the bucket still work.
#[component]
fn NotListed(failure: Failure, on_retry: EventHandler<()>) -> Element {
    let is_store = matches!(&failure, Failure::Refused { status: 503, .. });
    rsx! {
        ErrorBox { what: "Objects could not be loaded.", failure, on_retry: move |()| on_retry.call(()) }
        if is_store {
            p { class: "section muted", "You can still change the bucket's access on the Access tab." }
        }
    }
}

/// The buttons for the selected objects.
#[component]
fn SelectionActs(list: List) -> Element {
    let selection = list.selection.read();
    let count = selection.len() as i64;
    if count == 0 {
        return rsx! {};
    }
    let size = text::bytes(selection.values().sum());
    let what = text::count(count, "object", "objects");
    let paths: Vec<String> = selection.keys().cloned().collect();
    let to_download = paths.clone();
    let mut open = list.open;
    rsx! {
        span { class: "push row",
            span { class: "label muted", role: "status", "{text::number(count)} selected, {size}" }
            button {
                class: "btn only-wide",
                r#type: "button",
                onclick: move |_| {
                    for path in to_download.clone() {
                        download(&list.project.peek(), &list.bucket.peek(), path);
                    }
                },
                Icon { name: IconName::Download }
                "Download"
            }
            button {
                class: "btn",
                r#type: "button",
                onclick: move |_| open.set(Open::Delete(Deleting::Objects(paths.clone()))),
                Icon { name: IconName::Trash }
                "Delete {what}"
            }
        }
    }
}

#[component]
fn ObjectList(list: List, page: ObjectPage) -> Element {
    let List { project, bucket, selection, .. } = list;
    let is_narrow = use_is_narrow();
    let selected = selected_of(&selection.read(), &page.items);
    let objects = page.items.clone();
    if is_narrow {
        return rsx! {
            ul { class: "cards", "aria-label": "Objects in {bucket}",
                for folder in page.prefixes {
                    li { key: "{folder}", class: "card",
                        h3 {
                            Icon { name: IconName::Folder }
                            Link {
                                to: folder_address(&project.read(), &bucket.read(), &folder), class: "cut grow",
                                "{name_of(&folder)}"
                            }
                            FolderMenu { list, folder: folder.clone() }
                        }
                    }
                }
                for object in page.items {
                    ObjectCard { key: "{object.path}", list, object }
                }
            }
        };
    }
    rsx! {
        table { class: "table objects", "aria-label": "Objects in {bucket}",
            thead {
                tr {
                    th { class: "pick",
                        if !page.items.is_empty() {
                            input {
                                r#type: "checkbox",
                                class: if selected == Selected::Some { "box is-mixed" } else { "box" },
                                "aria-label": "Select all",
                                "aria-checked": if selected == Selected::Some { "mixed" },
                                checked: selected == Selected::All,
                                onchange: move |event| select_all(selection, &objects, event.checked()),
                            }
                        }
                    }
                    th { class: "first", "Name" }
                    th { class: "num", "Size" }
                    th { class: "hide-800", "Content type" }
                    th { class: "num", "Changed" }
                    th { span { class: "sr", "Actions" } }
                }
            }
            tbody {
                for folder in page.prefixes {
                    tr { key: "{folder}",
                        td { class: "pick" }
                        td { class: "first",
                            span { class: "row",
                                Icon { name: IconName::Folder }
                                Link {
                                    to: folder_address(&project.read(), &bucket.read(), &folder), class: "name cut",
                                    "{name_of(&folder)}"
                                }
                            }
                        }
                        td {}
                        td { class: "hide-800" }
                        td {}
                        td { class: "acts", FolderMenu { list, folder: folder.clone() } }
                    }
                }
                for object in page.items {
                    ObjectRow { key: "{object.path}", list, object }
                }
            }
        }
    }
}

/// Returns the address of a folder in the dashboard.
pub(super) fn folder_address(project: &str, bucket: &str, folder: &str) -> String {
    address::with_parameters(&format!("/projects/{project}/storage/{bucket}"), &[("prefix", Some(folder))])
}

#[component]
fn ObjectRow(list: List, object: StoredObject) -> Element {
    let selection = list.selection;
    let path = object.path.clone();
    // Memoized, so that only rows whose selection changes are drawn again.
    let is_selected = use_memo(move || selection.read().contains_key(&path));
    let name = name_of(&object.path).to_owned();
    let content_type = object.content_type.clone().unwrap_or_else(|| "unknown".to_owned());
    let changed = object.last_modified;
    rsx! {
        tr { "aria-selected": is_selected().to_string(),
            td { class: "pick",
                input {
                    r#type: "checkbox",
                    class: "box",
                    "aria-label": "Select {name}",
                    checked: is_selected(),
                    onchange: {
                        let object = object.clone();
                        move |event| select(selection, &object, event.checked())
                    },
                }
            }
            td { class: "first",
                span { class: "row",
                    span { class: "muted row", Icon { name: object_icon(Some(&content_type)) } }
                    ObjectLink { path: object.path.clone(), name: name.clone() }
                }
            }
            td { class: "num", title: "{text::number(object.size)} bytes", "{text::bytes(object.size)}" }
            td { class: "muted hide-800 cut type", title: "{content_type}", "{content_type}" }
            td { class: "num muted", title: changed.map(text::exact), {changed.map(text::date).unwrap_or_default()} }
            td { class: "acts", ObjectMenu { list, object: object.clone() } }
        }
    }
}

#[component]
fn ObjectCard(list: List, object: StoredObject) -> Element {
    let changed = object.last_modified.map(|changed| format!(" · {}", text::date(changed))).unwrap_or_default();
    rsx! {
        li { class: "card",
            h3 {
                Icon { name: object_icon(object.content_type.as_deref()) }
                ObjectLink { path: object.path.clone(), name: name_of(&object.path).to_owned() }
                ObjectMenu { list, object: object.clone() }
            }
            p { "{text::bytes(object.size)}{changed}" }
        }
    }
}

/// The link that opens the sheet of an object.
#[component]
fn ObjectLink(path: String, name: String) -> Element {
    // The link keeps the other parameters of the address, such as the folder.
    let _: crate::route::Route = use_route();
    let to = address::with_parameter("object", &path);
    rsx! { Link { to, class: "cut grow", title: path, "{name}" } }
}
