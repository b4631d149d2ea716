//! A query that is open.

use std::rc::Rc;

use super::drafts::{self, Draft};

/// A query that is open in a tab.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tab {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) text: Rc<str>,
    /// The id of the saved query that the tab belongs to, and the version that was read last.
    pub(super) saved: Option<(String, i64)>,
    /// The last stored revision that this window has seen. Empty before the first.
    pub(super) revision: String,
    pub(super) stored_at: Option<f64>,
    /// Whether the text changed since it was stored.
    pub(super) is_changed: bool,
    /// The draft that another window stored in the meantime.
    pub(super) other: Option<Box<Draft>>,
    /// Whether the browser refused to store the text.
    pub(super) is_refused: bool,
}

impl Tab {
    pub(super) fn new(text: &str) -> Self {
        Self {
            id: drafts::new_id(),
            name: None,
            text: text.into(),
            saved: None,
            revision: String::new(),
            stored_at: None,
            is_changed: false,
            other: None,
            is_refused: false,
        }
    }

    pub(super) fn title(&self) -> String {
        self.name.clone().unwrap_or_else(|| drafts::title_of(&self.text))
    }
}

impl From<Draft> for Tab {
    fn from(draft: Draft) -> Self {
        Self {
            id: draft.id,
            name: draft.name,
            text: draft.text.into(),
            saved: draft.saved,
            revision: draft.revision,
            stored_at: Some(draft.stored_at),
            is_changed: false,
            other: None,
            is_refused: false,
        }
    }
}
