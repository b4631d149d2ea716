//! Stores the unsaved input of a form in the tab's session storage, so that it survives a reload and the end of the
//! sign-in.
//!
//! The body of the request and the values of its headers are not stored, because they may be secret. Only the fact that
//! the owner has typed some is stored.

use super::draft::Draft;
use crate::address;

/// Returns the name under which a form is stored. Each address of a new job has its own.
pub(super) fn name(job: Option<&str>) -> String {
    let form = job.map_or_else(address::path_and_query, str::to_owned);
    format!("atlashub.job.{form}")
}

pub(super) fn load(name: &str) -> Option<Draft> {
    let text = storage()?.get_item(name).ok().flatten()?;
    serde_json::from_str(&text).ok()
}

/// Stores a draft. `had_unstorable` says whether the owner had typed input that is not stored.
pub(super) fn save(name: &str, draft: &Draft, had_unstorable: bool) {
    if let (Some(storage), Ok(text)) = (storage(), serde_json::to_string(draft)) {
        let _ = storage.set_item(name, &text);
        if draft.has_unstorable_input() {
            let _ = storage.set_item(&unstorable_name(name), "yes");
        } else if had_unstorable {
            // The owner has removed it, so a reload loses nothing.
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
        let _ = storage.remove_item(&unstorable_name(name));
    }
}

fn unstorable_name(name: &str) -> String {
    format!("{name}.unstorable")
}

fn storage() -> Option<web_sys::Storage> {
    web_sys::window()?.session_storage().ok().flatten()
}
