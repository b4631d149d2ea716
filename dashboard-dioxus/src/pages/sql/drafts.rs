//! Stores the texts of queries in IndexedDB, so that they survive a reload. Until the write ends, the text is also in
//! `sessionStorage`, unless it is long.

use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};

use super::bindings;
use crate::text;

/// Maximum size in bytes of a text that is copied to `sessionStorage`. Longer texts are stored only in IndexedDB.
const MAX_PENDING_BYTES: usize = 300_000;

/// Time for which closed queries stay in "Recently closed", in milliseconds.
const KEPT_CLOSED_MS: f64 = 30.0 * 86_400_000.0;

/// A query of the page, as stored in the browser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Draft {
    pub(super) project: String,
    pub(super) id: String,
    /// Changes with each write. A window may only replace the revision that it has seen.
    pub(super) revision: String,
    #[serde(default)]
    pub(super) name: Option<String>,
    pub(super) text: String,
    /// The id of the saved query that the draft belongs to, and the version that was read last.
    #[serde(default)]
    pub(super) saved: Option<(String, i64)>,
    /// Position among the tabs.
    #[serde(default)]
    pub(super) position: f64,
    /// When the draft was stored, in milliseconds since 1970.
    #[serde(default)]
    pub(super) stored_at: f64,
    /// When its tab was closed, in milliseconds since 1970.
    #[serde(default)]
    pub(super) closed_at: Option<f64>,
    /// Name of the window that stored the draft.
    #[serde(default)]
    pub(super) window: String,
}

/// Returns a new random id.
pub(super) fn new_id() -> String {
    let part = || format!("{:08x}", (js_sys::Math::random() * f64::from(u32::MAX)) as u32);
    format!("{}{}", part(), part())
}

/// Returns the name of this window, which stays the same after a reload.
pub(super) fn window_name() -> String {
    const KEY: &str = "atlashub.sql-window";
    let Some(storage) = session_storage() else { return String::new() };
    if let Some(name) = storage.get_item(KEY).ok().flatten() {
        return name;
    }
    let name = new_id();
    let _ = storage.set_item(KEY, &name);
    name
}

/// Returns the project's drafts. Removes those whose tab was closed more than 30 days ago.
pub(super) async fn load(project: &str) -> Vec<Draft> {
    let json = bindings::read_drafts(project).await.ok().and_then(|json| json.as_string()).unwrap_or_default();
    let stored: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap_or_default();
    // Records of another version of the dashboard that can't be read are kept.
    let stored = stored.into_iter().filter_map(|record| serde_json::from_value::<Draft>(record).ok());
    let oldest = js_sys::Date::now() - KEPT_CLOSED_MS;
    let (ended, kept): (Vec<_>, Vec<_>) =
        stored.partition(|draft| draft.closed_at.is_some_and(|closed_at| closed_at < oldest));
    for draft in ended {
        let _ = bindings::remove_draft(project, &draft.id).await;
    }
    kept
}

/// The outcome of storing a draft.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stored {
    Done,
    /// Another window stored this draft in the meantime.
    Conflict(Box<Draft>),
    /// The browser refused, for example in a private window or because its storage is full.
    Refused,
}

/// Stores a draft if the stored revision is still `seen`. Stores nothing if another window has stored another revision.
pub(super) async fn store(draft: &Draft, seen: &str) -> Stored {
    let Ok(json) = serde_json::to_string(draft) else { return Stored::Refused };
    match bindings::write_draft(&json, seen).await.map(|stored| stored.as_string().unwrap_or_default()) {
        Ok(other) if other.is_empty() => Stored::Done,
        Ok(other) => serde_json::from_str(&other).map_or(Stored::Refused, |other| Stored::Conflict(Box::new(other))),
        Err(_) => Stored::Refused,
    }
}

/// Stores a closed query if the stored revision is still `seen`, or a later one of the same window: an earlier write of
/// this window may have ended in the meantime. A text that another window has stored meanwhile stays open.
pub(super) async fn store_closed(draft: Draft, mut seen: String) {
    while let Stored::Conflict(other) = store(&draft, &seen).await {
        if other.window != draft.window || other.revision == seen || other.revision == draft.revision {
            break;
        }
        seen = other.revision;
    }
    forget_pending(&draft.project, &draft.id);
}

/// Calls `callback` with each draft that another window stores.
pub(super) fn watch(callback: impl Fn(Draft) + 'static) {
    let closure = Closure::<dyn FnMut(JsValue)>::new(move |json: JsValue| {
        if let Some(draft) = json.as_string().and_then(|json| serde_json::from_str(&json).ok()) {
            callback(draft);
        }
    });
    bindings::watch_drafts(closure.as_ref().unchecked_ref());
    // The callback is needed until the page is closed.
    closure.forget();
}

/// Writes a draft to `sessionStorage` until it is stored, so that a reload before the next write loses nothing. Does
/// nothing if the text is longer than [`MAX_PENDING_BYTES`].
pub(super) fn keep_pending(draft: &Draft) {
    let Some(storage) = session_storage() else { return };
    if draft.text.len() > MAX_PENDING_BYTES {
        return;
    }
    if let Ok(json) = serde_json::to_string(draft) {
        let _ = storage.set_item(&pending_key(&draft.project, &draft.id), &json);
    }
}

pub(super) fn forget_pending(project: &str, id: &str) {
    if let Some(storage) = session_storage() {
        let _ = storage.remove_item(&pending_key(project, id));
    }
}

/// Returns the drafts that were not stored before a reload. Each has the revision that it was based on.
pub(super) fn pending(project: &str) -> Vec<Draft> {
    let Some(storage) = session_storage() else { return Vec::new() };
    let prefix = pending_key(project, "");
    let count = storage.length().unwrap_or_default();
    let keys = (0..count).filter_map(|index| storage.key(index).ok().flatten()).filter(|key| key.starts_with(&prefix));
    keys.filter_map(|key| serde_json::from_str(&storage.get_item(&key).ok()??).ok()).collect()
}

/// Returns and removes the statement that another page passed to this one for a new query.
pub(super) fn take_handed_over() -> Option<String> {
    const KEY: &str = "atlashub.sql.open";
    let storage = session_storage()?;
    let sql = storage.get_item(KEY).ok().flatten()?;
    let _ = storage.remove_item(KEY);
    Some(sql)
}

fn pending_key(project: &str, id: &str) -> String {
    format!("atlashub.sql.{project}.{id}")
}

fn session_storage() -> Option<web_sys::Storage> {
    web_sys::window()?.session_storage().ok().flatten()
}

/// Returns the local time of day: `14:31:57`.
pub(super) fn time_of_day(milliseconds: f64) -> String {
    let date = js_sys::Date::new(&milliseconds.into());
    format!("{:02}:{:02}:{:02}", date.get_hours(), date.get_minutes(), date.get_seconds())
}

/// Returns the title of a query without a name: the first line of its text that is not empty, without `--`, shortened.
/// `Untitled` if there is none.
pub(super) fn title_of(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("Untitled");
    let line = line.trim_start_matches("--").trim();
    let line = if line.is_empty() { "Untitled" } else { line };
    if line.chars().count() > 28 {
        format!("{}…", line.chars().take(27).collect::<String>())
    } else {
        line.to_owned()
    }
}

/// Returns the age of a time as text. The time is in milliseconds since 1970.
pub(super) fn age(milliseconds: f64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(milliseconds as i64).unwrap_or_default();
    text::age(time, text::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_without_a_name_has_its_first_line_as_title() {
        for (text, expected) in [
            ("", "Untitled"),
            ("\n  select 1\nfrom x", "select 1"),
            ("-- late loans\nselect", "late loans"),
            ("select aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "select aaaaaaaaaaaaaaaaaaaa…"),
        ] {
            assert_eq!(title_of(text), expected);
        }
    }
}
