//! Stores the unsaved input of a form in the tab's session storage, so that it survives a reload and the end of the
//! sign-in.
//!
//! The body of the request and the values of its headers are not stored, because they may be secret.

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

pub(super) fn save(name: &str, draft: &Draft) {
    if let (Some(storage), Ok(text)) = (storage(), serde_json::to_string(draft)) {
        let _ = storage.set_item(name, &text);
    }
}

pub(super) fn remove(name: &str) {
    if let Some(storage) = storage() {
        let _ = storage.remove_item(name);
    }
}

fn storage() -> Option<web_sys::Storage> {
    web_sys::window()?.session_storage().ok().flatten()
}
