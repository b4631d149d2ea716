use std::{cell::RefCell, collections::HashMap, rc::Rc};

use dioxus::prelude::*;
use futures_util::{
    FutureExt as _,
    future::{LocalBoxFuture, Shared},
};

use super::{Failure, Method, client};

/// Number of responses in the cache above which it is emptied.
const MAX_RESPONSES: usize = 200;

/// Bytes above which a response is not cached.
const MAX_BYTES: usize = 4 << 20;

/// A response in the cache.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CachedResponse {
    pub(super) text: Rc<str>,
    /// Milliseconds since 1970.
    pub(super) read_at: f64,
}

type Pending = Shared<LocalBoxFuture<'static, Result<CachedResponse, Failure>>>;

#[derive(Default)]
struct Cache {
    cached: HashMap<String, CachedResponse>,
    pending: HashMap<String, (u64, Pending)>,
    next_request: u64,
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

static GENERATION: GlobalSignal<u64> = Signal::global(|| 0);

/// Subscribes the component to [`forget`].
pub(super) fn subscribe() {
    let _ = GENERATION.read();
}

/// Returns the cached response of a path, however old.
pub(super) fn cached(path: &str) -> Option<CachedResponse> {
    CACHE.with_borrow(|cache| cache.cached.get(path).cloned())
}

/// Returns a response that is at most `max_age_ms` old. Simultaneous reads of one path share a request.
pub(super) async fn read(path: &str, max_age_ms: f64) -> Result<CachedResponse, Failure> {
    if let Some(cached) = cached(path)
        && js_sys::Date::now() - cached.read_at < max_age_ms
    {
        return Ok(cached);
    }
    let pending = CACHE.with_borrow_mut(|cache| {
        if let Some((_, pending)) = cache.pending.get(path) {
            return pending.clone();
        }
        cache.next_request += 1;
        let (id, owned) = (cache.next_request, path.to_owned());
        let pending = async move { request(owned, id).await }.boxed_local().shared();
        cache.pending.insert(path.to_owned(), (id, pending.clone()));
        pending
    });
    pending.await
}

async fn request(path: String, id: u64) -> Result<CachedResponse, Failure> {
    let result = client::fetch_text(Method::Get, &path, None).await;
    let result = result.map(|text| CachedResponse { text: text.into(), read_at: js_sys::Date::now() });
    CACHE.with_borrow_mut(|cache| {
        // The response of a request that began before a change may be older than the change.
        if cache.pending.get(&path).is_none_or(|(pending, _)| *pending != id) {
            return;
        }
        cache.pending.remove(&path);
        if let Ok(cached) = &result {
            if cache.cached.len() >= MAX_RESPONSES {
                cache.cached.clear();
            }
            if cached.text.len() <= MAX_BYTES {
                cache.cached.insert(path, cached.clone());
            }
        }
    });
    result
}

/// Drops the cached responses of a path and of all paths below it, after a change. Components that show them read
/// again, and show the old response until then.
pub fn forget(path: &str) {
    let path = path.split('?').next().unwrap_or_default();
    let is_below = |candidate: &str| {
        candidate.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    };
    CACHE.with_borrow_mut(|cache| {
        let gone: Vec<String> =
            cache.cached.keys().chain(cache.pending.keys()).filter(|cached| is_below(cached)).cloned().collect();
        for path in gone {
            cache.cached.remove(&path);
            cache.pending.remove(&path);
        }
    });
    *GENERATION.write() += 1;
}

/// Drops all cached responses, after another sign-in or an interrupted connection.
pub fn forget_all() {
    CACHE.with_borrow_mut(|cache| {
        cache.cached.clear();
        cache.pending.clear();
    });
    *GENERATION.write() += 1;
}
