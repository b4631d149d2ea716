//! The page "Storage": the buckets of a project, as a table or as cards.

use api_types::{Bucket, Page as ApiPage};
use dioxus::prelude::*;

use super::{
    super::cursor_paging::{CursorPaging, EmptyPage, page_size},
    bucket_forms::{DeleteBucketDialog, NewBucket},
    paths,
    words::{access_in_words, exposure_in_words},
};
use crate::{
    address,
    frame::page::Page,
    remote::{RemoteState, use_remote},
    text,
    ui::{Empty, ErrorBox, Icon, IconName, Link, LoadingTable, Menu, MenuItem, SearchBox, narrow::use_is_narrow},
};

const PAGE_SIZES: &[u32] = &[50, 100, 200];
const DEFAULT_SIZE: u32 = 200;

/// The dialog that is open.
#[derive(Debug, Clone, PartialEq)]
enum Open {
    Nothing,
    New,
    Delete(Bucket),
}

#[component]
pub fn Storage(id: ReadSignal<String>) -> Element {
    let after = address::use_parameter("after");
    let limit = page_size(PAGE_SIZES, DEFAULT_SIZE).to_string();
    let path =
        address::with_parameters(&paths::buckets(&id.read()), &[("limit", Some(&limit)), ("cursor", after.as_deref())]);
    let mut buckets = use_remote::<ApiPage<Bucket>>(use_memo(use_reactive!(|path| path)).into());
    let mut open = use_signal(|| Open::Nothing);
    let content = match buckets.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Buckets", columns: 7 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Buckets could not be loaded.", failure, on_retry: move |()| buckets.refresh() }
        },
        RemoteState::Ready(page) if page.items.is_empty() && after.is_none() => rsx! {
            Empty {
                title: "No buckets",
                text: "A bucket holds files. At first, only you and servers with the secret key can access it.",
                help: "storage",
                button { class: "btn btn-primary", r#type: "button", onclick: move |_| open.set(Open::New),
                    Icon { name: IconName::Plus }
                    "New bucket"
                }
            }
        },
        RemoteState::Ready(page) if page.items.is_empty() => rsx! { EmptyPage { entries: "buckets" } },
        RemoteState::Ready(page) => {
            let is_paged = after.is_some() || page.next_cursor.is_some();
            rsx! {
                BucketList { project: id, buckets: page.items.clone(), is_paged, open }
                if is_paged {
                    CursorPaging {
                        shown: page.items.len(),
                        next_cursor: page.next_cursor,
                        updated_at: buckets.updated_at(),
                        sizes: PAGE_SIZES,
                        default_size: DEFAULT_SIZE,
                        on_refresh: move |()| buckets.refresh(),
                    }
                }
            }
        }
    };
    rsx! {
        Page {
            title: "Storage",
            subtitle: "Apps upload files directly to the object store, and download them from it.",
            acts: rsx! {
                button {
                    class: "btn btn-primary", r#type: "button", "data-create": "true",
                    onclick: move |_| open.set(Open::New),
                    Icon { name: IconName::Plus }
                    "New bucket"
                }
            },
            {content}
            match open() {
                Open::Nothing => rsx! {},
                Open::New => rsx! {
                    NewBucket {
                        project: id(),
                        on_created: move |bucket: Bucket| {
                            address::go(&format!("/projects/{id}/storage/{}", bucket.name));
                        },
                        on_close: move |()| open.set(Open::Nothing),
                    }
                },
                Open::Delete(bucket) => rsx! {
                    DeleteBucketDialog {
                        project: id(),
                        bucket,
                        on_deleted: move |()| open.set(Open::Nothing),
                        on_close: move |()| open.set(Open::Nothing),
                    }
                },
            }
        }
    }
}

/// The buckets of a page. `is_paged` is true if other pages have further buckets.
#[component]
fn BucketList(project: ReadSignal<String>, buckets: Vec<Bucket>, is_paged: bool, open: Signal<Open>) -> Element {
    let filter = use_signal(String::new);
    let is_narrow = use_is_narrow();
    let wanted = filter.read().trim().to_lowercase();
    let total = buckets.len() as i64;
    let bytes: i64 = buckets.iter().map(|bucket| bucket.object_bytes).sum();
    let shown: Vec<Bucket> = buckets.into_iter().filter(|bucket| bucket.name.contains(&wanted)).collect();
    let is_empty = shown.is_empty();
    let no_match =
        if is_paged { "No bucket name on this page contains this text." } else { "No bucket name contains this text." };
    rsx! {
        div { class: "toolbar", SearchBox { name: "Filter buckets", value: filter } }
        if is_empty {
            Empty {
                title: "No bucket matches",
                text: no_match,
                button {
                    class: "btn", r#type: "button", onclick: move |_| filter.clone().set(String::new()), "Clear filters"
                }
            }
        } else if is_narrow {
            ul { class: "cards", "aria-label": "Buckets",
                for bucket in shown {
                    BucketCard { key: "{bucket.name}", project, bucket, open }
                }
            }
        } else {
            table { class: "table", "aria-label": "Buckets",
                thead {
                    tr {
                        th { "Name" }
                        th { class: "num", "Objects" }
                        th { class: "num", "Size" }
                        th { class: "hide-800", "Publishable key" }
                        th { class: "hide-800", "Signed-in users" }
                        th { class: "num hide-1060", "Largest object" }
                        th { class: "num hide-1060", "Created" }
                        th { span { class: "sr", "Actions" } }
                    }
                }
                tbody {
                    for bucket in shown {
                        BucketRow { key: "{bucket.name}", project, bucket, open }
                    }
                }
            }
        }
        if !is_paged {
            div { class: "foot", span { "{text::count(total, \"bucket\", \"buckets\")}, {text::bytes(bytes)}" } }
        }
    }
}

#[component]
fn BucketRow(project: ReadSignal<String>, bucket: Bucket, open: Signal<Open>) -> Element {
    let exposure = bucket.exposure;
    rsx! {
        tr {
            td {
                span { class: "row",
                    Icon { name: IconName::Bucket }
                    Link { to: "/projects/{project}/storage/{bucket.name}", class: "name", "{bucket.name}" }
                }
            }
            td { class: "num", "{text::number(bucket.object_count)}" }
            td { class: "num", "{text::bytes(bucket.object_bytes)}" }
            td {
                class: if exposure.publishable == api_types::BucketAccess::None { "muted hide-800" } else {
                    "hide-800"
                },
                "{access_in_words(exposure.publishable)}"
            }
            td { class: if exposure.signed_in == api_types::BucketAccess::None { "muted hide-800" } else { "hide-800" },
                "{access_in_words(exposure.signed_in)}"
            }
            td {
                class: "num hide-1060", title: "Larger objects are refused",
                "up to {text::bytes(bucket.max_object_bytes)}"
            }
            td {
                class: "num muted hide-1060", title: text::exact(bucket.created_at), "{text::date(bucket.created_at)}"
            }
            td { class: "acts", BucketMenu { project, bucket: bucket.clone(), open } }
        }
    }
}

#[component]
fn BucketCard(project: ReadSignal<String>, bucket: Bucket, open: Signal<Open>) -> Element {
    rsx! {
        li { class: "card",
            h3 {
                Icon { name: IconName::Bucket }
                Link { to: "/projects/{project}/storage/{bucket.name}", class: "grow cut", "{bucket.name}" }
                BucketMenu { project, bucket: bucket.clone(), open }
            }
            p { "{text::count(bucket.object_count, \"object\", \"objects\")}, {text::bytes(bucket.object_bytes)}" }
            p { "{text::sentence(&exposure_in_words(bucket.exposure))}" }
        }
    }
}

#[component]
fn BucketMenu(project: ReadSignal<String>, bucket: Bucket, open: Signal<Open>) -> Element {
    let mut open = open;
    let access = format!("/projects/{project}/storage/{}?tab=access", bucket.name);
    rsx! {
        Menu { name: "Actions for {bucket.name}", icon: IconName::Dots, class: "btn-s",
            MenuItem { icon: Some(IconName::Lock), onselect: move |()| address::go(&access), "Change access" }
            hr {}
            MenuItem {
                icon: Some(IconName::Trash),
                danger: true,
                onselect: {
                    let bucket = bucket.clone();
                    move |()| open.set(Open::Delete(bucket.clone()))
                },
                "Delete bucket"
            }
        }
    }
}
