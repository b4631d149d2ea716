//! The owner's choices on the page, stored in this browser.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

const KEY: &str = "atlashub.sql";

/// The choices of "Time limit": value, label, milliseconds.
pub(super) const TIME_LIMITS: [(&str, &str, u64); 3] =
    [("5", "5 s", 5_000), ("30", "30 s", 30_000), ("60", "60 s", 60_000)];

/// The value of "Time limit" that runs the text in the background.
pub(super) const IN_BACKGROUND: &str = "background";

/// The choices of "Rows".
pub(super) const ROW_LIMITS: [u32; 3] = [100, 1000, 5000];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Settings {
    pub(super) time_limit: String,
    pub(super) rows: u32,
    pub(super) in_transaction: bool,
    /// Height of the editor, in pixels.
    pub(super) editor_height: f64,
    pub(super) is_side_hidden: bool,
    /// Id of the open tab, by project.
    active: HashMap<String, String>,
    /// Not stored, so that a reload switches the mode off.
    #[serde(skip)]
    pub(super) read_only: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            time_limit: "5".to_owned(),
            rows: 1000,
            in_transaction: true,
            editor_height: 264.0,
            is_side_hidden: false,
            active: HashMap::new(),
            read_only: false,
        }
    }
}

impl Settings {
    pub(super) fn load() -> Self {
        let json = storage().and_then(|storage| storage.get_item(KEY).ok().flatten());
        json.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default()
    }

    pub(super) fn store(&self) {
        if let (Some(storage), Ok(json)) = (storage(), serde_json::to_string(self)) {
            let _ = storage.set_item(KEY, &json);
        }
    }

    pub(super) fn active(&self, project: &str) -> Option<String> {
        self.active.get(project).cloned()
    }

    pub(super) fn remember_active(&mut self, project: &str, id: &str) {
        self.active.insert(project.to_owned(), id.to_owned());
        self.store();
    }

    /// Returns the time limit in milliseconds. `None` runs the text in the background.
    pub(super) fn timeout_ms(&self) -> Option<u64> {
        if self.time_limit == IN_BACKGROUND {
            return None;
        }
        TIME_LIMITS.iter().find(|(value, ..)| *value == self.time_limit).map(|(.., limit)| *limit).or(Some(5_000))
    }
}

fn storage() -> Option<web_sys::Storage> {
    web_sys::window()?.local_storage().ok().flatten()
}
