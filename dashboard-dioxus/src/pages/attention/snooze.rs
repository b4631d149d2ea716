//! Hides items of the list "Needs attention" for a while, in this browser only.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

/// Key in `localStorage`.
const KEY: &str = "snoozed";

/// Items that are hidden for a while, by their id. Stored in this browser only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Snoozed(BTreeMap<String, i64>);

impl Snoozed {
    /// Returns whether the item is hidden at a time.
    pub(super) fn is_hidden(&self, id: &str, now: DateTime<Utc>) -> bool {
        self.0.get(id).is_some_and(|until| *until > now.timestamp())
    }

    /// Hides the item until a time.
    pub(super) fn hide(&mut self, id: &str, until: DateTime<Utc>) {
        self.0.insert(id.to_owned(), until.timestamp());
    }

    fn parse(text: &str, now: DateTime<Utc>) -> Self {
        let mut items: BTreeMap<String, i64> = serde_json::from_str(text).unwrap_or_default();
        items.retain(|_, until| *until > now.timestamp());
        Self(items)
    }
}

/// Reads the hidden items that have not expired.
pub(super) fn load() -> Snoozed {
    let text = storage().and_then(|storage| storage.get_item(KEY).ok().flatten()).unwrap_or_default();
    Snoozed::parse(&text, crate::text::now())
}

/// Stores the hidden items. If the browser's storage is off, they stay hidden only while the list is on the page.
pub(super) fn store(snoozed: &Snoozed) {
    if let (Some(storage), Ok(text)) = (storage(), serde_json::to_string(&snoozed.0)) {
        let _ = storage.set_item(KEY, &text);
    }
}

fn storage() -> Option<web_sys::Storage> {
    web_sys::window()?.local_storage().ok()?
}

#[cfg(test)]
mod tests {
    use chrono::Duration;

    use super::*;

    #[test]
    fn snoozed_item_is_hidden_until_its_time() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap_or_default();
        let mut snoozed = Snoozed::default();
        snoozed.hide("a", now + Duration::days(1));
        assert!(snoozed.is_hidden("a", now) && !snoozed.is_hidden("b", now));
        assert!(!snoozed.is_hidden("a", now + Duration::days(2)));
        let text = serde_json::to_string(&snoozed.0).unwrap_or_default();
        assert_eq!(Snoozed::parse(&text, now), snoozed);
        assert_eq!(Snoozed::parse(&text, now + Duration::days(2)), Snoozed::default());
        assert_eq!(Snoozed::parse("not json", now), Snoozed::default());
    }
}
