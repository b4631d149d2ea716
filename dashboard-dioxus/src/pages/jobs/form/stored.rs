//! Stores the unsaved input of a form in the tab's session storage, so that it survives a reload, and is still there
//! after the owner has had to sign in again.
//!
//! The body of the request and the values of its headers are not stored, because they may be secret. Only the fact that
//! the owner has typed some is stored.

use super::{changes::rebased, draft::Draft};
use crate::address;

/// Returns the name under which a form is stored. Each address of a new job has its own.
pub(super) fn name(job: Option<&str>) -> String {
    let form = job.map_or_else(address::path_and_query, str::to_owned);
    format!("atlashub.job.{form}")
}

/// Returns the unsaved input, on top of the values `saved` that the job has now.
pub(super) fn load(name: &str, saved: &Draft) -> Option<Draft> {
    let item = |name: &str| storage()?.get_item(name).ok().flatten();
    let mut draft: Draft = serde_json::from_str(&item(name)?).ok()?;
    for (id, header) in draft.headers.iter_mut().enumerate() {
        header.id = id;
    }
    let base: Option<Draft> = item(&base_name(name)).and_then(|text| serde_json::from_str(&text).ok());
    Some(match base {
        Some(base) => rebased(&draft, &base, saved),
        None => draft,
    })
}

/// Stores a draft, and the values `base` that it changes. `had_unstorable` says whether the owner had typed input that
/// is not stored.
pub(super) fn save(name: &str, draft: &Draft, base: &Draft, had_unstorable: bool) {
    if let (Some(storage), Ok(text), Ok(base)) = (storage(), serde_json::to_string(draft), serde_json::to_string(base))
    {
        let _ = storage.set_item(name, &text);
        let _ = storage.set_item(&base_name(name), &base);
        if draft.has_unstorable_input() {
            let _ = storage.set_item(&unstorable_name(name), "yes");
        } else if had_unstorable {
            // The owner has removed that input, so a reload loses nothing.
            let _ = storage.remove_item(&unstorable_name(name));
        }
    }
}

/// Returns whether the owner typed a body or values of headers that are no longer there.
pub(super) fn has_lost_input(name: &str) -> bool {
    storage().is_some_and(|storage| storage.get_item(&unstorable_name(name)).is_ok_and(|item| item.is_some()))
}

pub(super) fn remove(name: &str) {
    if let Some(storage) = storage() {
        let _ = storage.remove_item(name);
        let _ = storage.remove_item(&base_name(name));
        let _ = storage.remove_item(&unstorable_name(name));
    }
}

fn base_name(name: &str) -> String {
    format!("{name}.base")
}

fn unstorable_name(name: &str) -> String {
    format!("{name}.unstorable")
}

fn storage() -> Option<web_sys::Storage> {
    web_sys::window()?.session_storage().ok().flatten()
}
