use std::{cell::RefCell, collections::HashMap, rc::Rc};

use dioxus::prelude::*;
use futures_util::{
    FutureExt as _,
    future::{LocalBoxFuture, Shared},
};

use super::{Failure, Method, client};

/// Number of answers that are remembered.
const MAX_ANSWERS: usize = 200;

/// Bytes above which an answer is not remembered.
const MAX_BYTES: usize = 4 << 20;

/// An answer of the server.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    pub(super) text: Rc<str>,
    /// Milliseconds since 1970.
    pub(super) read_at: f64,
}

type Pending = Shared<LocalBoxFuture<'static, Result<Known, Failure>>>;

#[derive(Default)]
struct Answers {
    known: HashMap<String, Known>,
    pending: HashMap<String, (u64, Pending)>,
    next_request: u64,
}

thread_local! {
    static ANSWERS: RefCell<Answers> = RefCell::default();
}

static GENERATION: GlobalSignal<u64> = Signal::global(|| 0);

/// Subscribes the caller to [`forget`].
pub(super) fn subscribe() {
    let _ = GENERATION.read();
}

/// Returns the last answer.
pub(super) fn known(path: &str) -> Option<Known> {
    ANSWERS.with_borrow(|answers| answers.known.get(path).cloned())
}

/// Returns an answer that is at most `max_age_ms` old. Requests for the same path at the same time are one request.
pub(super) async fn read(path: &str, max_age_ms: f64) -> Result<Known, Failure> {
    if let Some(known) = known(path)
        && js_sys::Date::now() - known.read_at < max_age_ms
    {
        return Ok(known);
    }
    let pending = ANSWERS.with_borrow_mut(|answers| {
        if let Some((_, pending)) = answers.pending.get(path) {
            return pending.clone();
        }
        answers.next_request += 1;
        let (id, owned) = (answers.next_request, path.to_owned());
        let pending = async move { request(owned, id).await }.boxed_local().shared();
        answers.pending.insert(path.to_owned(), (id, pending.clone()));
        pending
    });
    pending.await
}

async fn request(path: String, id: u64) -> Result<Known, Failure> {
    let answer = client::fetch_text(Method::Get, &path, None).await;
    let answer = answer.map(|text| Known { text: text.into(), read_at: js_sys::Date::now() });
    ANSWERS.with_borrow_mut(|answers| {
        // A request that began before a change must not hide the change.
        if answers.pending.get(&path).is_none_or(|(pending, _)| *pending != id) {
            return;
        }
        answers.pending.remove(&path);
        if let Ok(known) = &answer {
            if answers.known.len() >= MAX_ANSWERS {
                answers.known.clear();
            }
            if known.text.len() <= MAX_BYTES {
                answers.known.insert(path, known.clone());
            }
        }
    });
    answer
}

/// Forgets the answers of a path and of all below it, since they have changed. Components that show them ask again, and
/// show the old answer until then.
pub fn forget(path: &str) {
    let path = path.split('?').next().unwrap_or_default();
    let is_below = |candidate: &str| {
        candidate.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    };
    ANSWERS.with_borrow_mut(|answers| {
        let gone: Vec<String> =
            answers.known.keys().chain(answers.pending.keys()).filter(|known| is_below(known)).cloned().collect();
        for path in gone {
            answers.known.remove(&path);
            answers.pending.remove(&path);
        }
    });
    *GENERATION.write() += 1;
}

/// Forgets everything: another owner signed in, or the server was away.
pub fn forget_all() {
    ANSWERS.with_borrow_mut(|answers| {
        answers.known.clear();
        answers.pending.clear();
    });
    *GENERATION.write() += 1;
}
