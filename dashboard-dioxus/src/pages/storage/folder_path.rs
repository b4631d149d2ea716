//! The path of the open folder as links, and the field that filters the folder by the beginning of names.

use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use super::words::{folder_of, name_of};
use crate::{
    address,
    ui::{Link, SearchBox},
};

/// Time after the last key until the list is filtered.
const TYPING_MS: u32 = 200;

/// The folders above the list, as links.
#[component]
pub(super) fn FolderPath(project: ReadSignal<String>, bucket: ReadSignal<String>, folder: String) -> Element {
    let home = format!("/projects/{project}/storage/{bucket}");
    let mut parts = vec![(bucket(), home.clone())];
    let mut end = 0;
    for segment in folder.split_inclusive('/') {
        end += segment.len();
        let prefix = folder.get(..end).unwrap_or_default();
        let to = address::with_parameters(&home, &[("prefix", Some(prefix))]);
        parts.push((name_of(segment).trim_end_matches('/').to_owned(), to));
    }
    let last = parts.len() - 1;
    rsx! {
        nav { class: "folder-path mono", "aria-label": "Folder path",
            for (index, (name, to)) in parts.into_iter().enumerate() {
                span { key: "{to}", class: "row row-1",
                    Link {
                        to, class: if index == last { "cut" } else { "cut muted" }, current: index == last, "{name}"
                    }
                    span { class: "faint", "aria-hidden": "true", "/" }
                }
            }
        }
    }
}

/// The field that filters the list by the start of the name.
#[component]
pub(super) fn PrefixFilter(prefix: String) -> Element {
    let mut typed = use_signal(String::new);
    let mut written = use_signal(|| None::<String>);
    // Shows the filter of the address after something else has changed the address, for example by opening a folder.
    use_effect(use_reactive!(|prefix| {
        if written.peek().as_deref() != Some(prefix.as_str()) || prefix.ends_with('/') {
            typed.set(prefix.get(folder_of(&prefix).len()..).unwrap_or_default().to_owned());
        }
        written.set(Some(prefix));
    }));
    use_effect(move || {
        let text = typed.read().clone();
        spawn(async move {
            TimeoutFuture::new(TYPING_MS).await;
            let current = address::parameter("prefix").unwrap_or_default();
            let wanted = format!("{}{text}", folder_of(&current));
            if *typed.peek() != text || wanted == current {
                return;
            }
            written.set(Some(wanted.clone()));
            let wanted = if wanted.is_empty() { Vec::new() } else { vec![wanted] };
            address::replace_parameters(&[("prefix", wanted), ("after", Vec::new()), ("offset", Vec::new())]);
        });
    });
    rsx! { SearchBox { name: "Filter by prefix", value: typed } }
}
