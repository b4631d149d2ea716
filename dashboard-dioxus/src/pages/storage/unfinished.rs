//! Uploads in parts that were neither completed nor aborted. Their parts take space in the store, but are in no list of
//! objects.

use api_types::{AbortUpload, OpenMultipartUpload, Page as ApiPage};
use dioxus::prelude::*;

use super::{paths, upload, words::uploader_in_words};
use crate::{
    remote::{self, Method, use_remote},
    text,
    ui::{Confirm, Icon, IconName, Mark, Shape, messages},
};

/// The number of unfinished uploads. A click on it opens their list. It does not include the uploads of this tab, which
/// the dock shows, except those that this tab failed to abort.
#[component]
pub(super) fn UnfinishedUploads(project: ReadSignal<String>, bucket: ReadSignal<String>) -> Element {
    let path = use_memo(move || paths::unfinished_uploads(&project.read(), &bucket.read()));
    let page = use_remote::<ApiPage<OpenMultipartUpload>>(path.into()).value();
    let mut aborting = use_signal(|| None::<OpenMultipartUpload>);
    let has_more = page.as_ref().is_some_and(|page| page.next_cursor.is_some());
    let uploads: Vec<OpenMultipartUpload> = page.map(|page| page.items).unwrap_or_default();
    let uploads: Vec<_> = uploads.into_iter().filter(|listed| !upload::was_begun_here(&listed.upload_id)).collect();
    if uploads.is_empty() {
        return rsx! {};
    }
    let more = if has_more { "More than " } else { "" };
    let count = text::count(uploads.len() as i64, "unfinished upload", "unfinished uploads");
    rsx! {
        details { class: "section unfinished",
            summary {
                Mark { shape: Shape::Attention }
                "{more}{count}"
                Icon { name: IconName::ChevronDown, small: true }
            }
            p { class: "muted label",
                "Parts of these files are in the store, but the uploads were neither completed nor aborted. Sending \
                    the same file again starts over, so you can abort every upload that no client is sending now."
            }
            ul { class: "items", "aria-label": "Unfinished uploads",
                for listed in uploads {
                    li { key: "{listed.upload_id}", class: "item",
                        Icon { name: IconName::File }
                        div { class: "cut",
                            strong { class: "cut", title: "{listed.path}", "{listed.path}" }
                            p {
                                class: "muted label", title: "Expires {text::exact(listed.expires_at)}",
                                "{facts(&listed)}"
                            }
                        }
                        button {
                            class: "btn acts",
                            r#type: "button",
                            "aria-label": "Abort upload of {listed.path}",
                            onclick: {
                                let listed = listed.clone();
                                move |_| aborting.set(Some(listed.clone()))
                            },
                            "Abort"
                        }
                    }
                }
            }
        }
        if let Some(upload) = aborting() {
            AbortDialog { project: project(), bucket: bucket(), upload, on_close: move |()| aborting.set(None) }
        }
    }
}

/// Returns the facts about an upload, for example `2.1 GB · started 3 h ago by the owner · expires after 4 Feb,
/// 02:00`.
fn facts(upload: &OpenMultipartUpload) -> String {
    let now = text::now();
    let size = upload.size.map(|size| format!("{} · ", text::bytes(size))).unwrap_or_default();
    format!(
        "{size}started {} by {} · expires after {}",
        text::age(upload.created_at, now),
        uploader_in_words(&upload.uploaded_by),
        text::short_date_and_time(upload.expires_at)
    )
}

#[component]
fn AbortDialog(project: String, bucket: String, upload: OpenMultipartUpload, on_close: EventHandler<()>) -> Element {
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let list = paths::unfinished_uploads(&project, &bucket);
    let path = format!("{}/multipart/abort", paths::bucket(&project, &bucket));
    rsx! {
        Confirm {
            act: "Abort upload",
            description: "{upload.path}: the parts in the store are deleted. If a client is still sending the file, \
                its upload fails.",
            busy: busy(),
            closable: !busy(),
            failure: failure(),
            on_close: move |()| on_close.call(()),
            on_confirm: move |()| {
                let (path, list) = (path.clone(), list.clone());
                let request = AbortUpload { object_key: upload.object_key.clone(), upload_id: upload.upload_id.clone() }
                ;
                spawn(async move {
                    busy.set(true);
                    match remote::send::<_, ()>(Method::Post, &path, &request).await {
                        Ok(()) => {
                            remote::forget(&list);
                            messages::show("Upload aborted");
                            on_close.call(());
                        }
                        Err(refused) => failure.set(Some(refused.message())),
                    }
                    busy.set(false);
                });
            },
        }
    }
}
