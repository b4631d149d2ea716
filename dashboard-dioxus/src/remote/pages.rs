//! Lists that are read completely, although the server returns them in pages: choices must contain every entry.

use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;
use serde::de::DeserializeOwned;

use super::{Failure, PageBrief, ProjectBrief, RemoteState, cache, client, is_visible, use_remote};

/// Age in milliseconds at which a page after the first one is read again.
const MAX_AGE_MS: f64 = 15_000.0;

/// Time until failed pages are read again.
const RETRY_MS: u32 = 15_000;

/// The entries of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct AllPages<T> {
    /// The entries that have been read. Those of the first page are here as soon as it is read.
    pub items: Vec<T>,
    /// Ready once `items` is complete.
    pub state: RemoteState<()>,
}

/// Reads all projects, the newest first.
pub fn use_projects() -> AllPages<ProjectBrief> {
    use_all_pages("/projects?limit=200")
}

/// Reads all pages of a list. `first_page` is the path of its first page. The list is read again after changes on the
/// server that affect it, and remains complete meanwhile.
pub fn use_all_pages<T>(first_page: &'static str) -> AllPages<T>
where
    T: DeserializeOwned + Clone + PartialEq + 'static,
{
    let first = use_remote::<PageBrief<T>>(use_signal(|| first_page.to_owned()).into());
    // The entries of all pages, if there are several.
    let mut all = use_signal(|| None::<Vec<T>>);
    let mut failure = use_signal(|| None::<Failure>);
    use_resource(move || {
        let page = first.value();
        cache::subscribe();
        async move {
            let Some(PageBrief { mut items, next_cursor: Some(cursor) }) = page else { return };
            let later: Vec<T> = loop {
                match read_later(first_page, cursor.clone()).await {
                    Ok(later) => break later,
                    Err(reason) => failure.set(Some(reason)),
                }
                TimeoutFuture::new(RETRY_MS).await;
                while !is_visible() {
                    TimeoutFuture::new(1_000).await;
                }
            };
            items.extend(later);
            if all.peek().as_ref() != Some(&items) {
                all.set(Some(items));
            }
            if failure.peek().is_some() {
                failure.set(None);
            }
        }
    });
    match first.state() {
        RemoteState::Loading => AllPages { items: Vec::new(), state: RemoteState::Loading },
        RemoteState::Failed(reason) => AllPages { items: Vec::new(), state: RemoteState::Failed(reason) },
        RemoteState::Ready(PageBrief { items, next_cursor: None }) => AllPages { items, state: RemoteState::Ready(()) },
        RemoteState::Ready(PageBrief { items, .. }) => match (all.read().clone(), failure.read().clone()) {
            (Some(items), _) => AllPages { items, state: RemoteState::Ready(()) },
            (None, Some(reason)) => AllPages { items, state: RemoteState::Failed(reason) },
            (None, None) => AllPages { items, state: RemoteState::Loading },
        },
    }
}

/// Reads the pages from `cursor` on.
async fn read_later<T: DeserializeOwned>(first_page: &str, mut cursor: String) -> Result<Vec<T>, Failure> {
    let mut items = Vec::new();
    loop {
        let encoded = String::from(js_sys::encode_uri_component(&cursor));
        let response = cache::read(&format!("{first_page}&cursor={encoded}"), MAX_AGE_MS).await?;
        let page: PageBrief<T> = client::parse(&response.text)?;
        items.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = next,
            None => return Ok(items),
        }
    }
}
