//! The responses that the dashboard has read, by path, so that components share them.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use dioxus::prelude::*;
use futures_util::{
    FutureExt as _,
    future::{LocalBoxFuture, Shared},
};

use super::{Failure, Method, client};

/// Maximum number of cached responses.
const MAX_RESPONSES: usize = 200;

/// Maximum size of a cached response, in bytes.
const MAX_BYTES: usize = 4 << 20;

/// A response of the server.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CachedResponse {
    pub(super) text: Rc<str>,
    /// When the response was read, in milliseconds since 1970.
    pub(super) read_at: f64,
}

type Pending = Shared<LocalBoxFuture<'static, Result<CachedResponse, Failure>>>;

#[derive(Default)]
struct Cache {
    responses: HashMap<String, CachedResponse>,
    /// Requests in progress, each with its number.
    pending: HashMap<String, (u64, Pending)>,
    next_request: u64,
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

static GENERATION: GlobalSignal<u64> = Signal::global(|| 0);

/// Subscribes the calling component to [`forget`] and [`forget_all`].
pub(super) fn subscribe() {
    let _ = GENERATION.read();
}

/// Returns the cached response, if there is one.
pub(super) fn cached(path: &str) -> Option<CachedResponse> {
    CACHE.with_borrow(|cache| cache.responses.get(path).cloned())
}

/// Returns a response that is at most `max_age_ms` old. Reads of the same path at the same time share one request.
pub(super) async fn read(path: &str, max_age_ms: f64) -> Result<CachedResponse, Failure> {
    if let Some(response) = cached(path)
        && js_sys::Date::now() - response.read_at < max_age_ms
    {
        return Ok(response);
    }
    let (pending, is_new) = CACHE.with_borrow_mut(|cache| {
        if let Some((_, pending)) = cache.pending.get(path) {
            return (pending.clone(), false);
        }
        cache.next_request += 1;
        let (id, owned) = (cache.next_request, path.to_owned());
        let pending = async move { request(owned, id).await }.boxed_local().shared();
        cache.pending.insert(path.to_owned(), (id, pending.clone()));
        (pending, true)
    });
    if is_new {
        let request = pending.clone();
        // Completes the request even if its readers are removed. Otherwise, the next reader of the path would take an
        // old response for a new one.
        dioxus::core::spawn_forever(async move { drop(request.await) });
    }
    pending.await
}

async fn request(path: String, id: u64) -> Result<CachedResponse, Failure> {
    let response = client::fetch_text(Method::Get, &path, None).await;
    let response = response.map(|text| CachedResponse { text: text.into(), read_at: js_sys::Date::now() });
    CACHE.with_borrow_mut(|cache| {
        // A request that began before a change must not hide the change.
        if cache.pending.get(&path).is_none_or(|(pending, _)| *pending != id) {
            return;
        }
        cache.pending.remove(&path);
        if let Ok(response) = &response {
            if cache.responses.len() >= MAX_RESPONSES {
                cache.responses.clear();
            }
            if response.text.len() <= MAX_BYTES {
                cache.responses.insert(path, response.clone());
            }
        }
    });
    response
}

/// Removes the responses of a path and of all paths below it, because they are outdated. Components that show one of
/// these responses request it again, and show the old one until the new one arrives.
pub fn forget(path: &str) {
    let path = path.split('?').next().unwrap_or_default();
    let is_below = |candidate: &str| {
        candidate.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    };
    CACHE.with_borrow_mut(|cache| {
        let gone: Vec<String> =
            cache.responses.keys().chain(cache.pending.keys()).filter(|path| is_below(path)).cloned().collect();
        for path in gone {
            cache.responses.remove(&path);
            cache.pending.remove(&path);
        }
    });
    *GENERATION.write() += 1;
}

/// Removes all responses, because the session has changed, or changes on the server may have been missed.
pub fn forget_all() {
    CACHE.with_borrow_mut(|cache| {
        cache.responses.clear();
        cache.pending.clear();
    });
    *GENERATION.write() += 1;
}
