//! Hides items of the list "Needs attention" for a while, in this browser only.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use dioxus::prelude::*;

/// Key in `localStorage`.
const KEY: &str = "snoozed";

/// Items that are hidden for a while, by their id, each with the time at which it is shown again, in seconds since
/// 1970. Stored in this browser only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Snoozed(BTreeMap<String, i64>);

static SNOOZED: GlobalSignal<Snoozed> = Signal::global(load);

/// Returns whether an item is hidden now, and subscribes the caller.
pub(in crate::pages) fn is_snoozed(id: &str) -> bool {
    SNOOZED.read().is_hidden(id, crate::text::now())
}

/// Hides an item until a time.
pub(super) fn snooze(id: &str, until: DateTime<Utc>) {
    let mut snoozed = merged();
    snoozed.hide(id, until);
    store(&snoozed);
    *SNOOZED.write() = snoozed;
}

/// Reads the hidden items again, because another tab may have changed them.
pub(super) fn read_again() {
    let snoozed = merged();
    if *SNOOZED.peek() != snoozed {
        *SNOOZED.write() = snoozed;
    }
}

/// Returns the items that this tab or another one has hidden.
fn merged() -> Snoozed {
    let mut snoozed = SNOOZED.peek().clone();
    snoozed.0.extend(load().0);
    snoozed
}

impl Snoozed {
    /// Returns whether the item is hidden at a time.
    fn is_hidden(&self, id: &str, now: DateTime<Utc>) -> bool {
        self.0.get(id).is_some_and(|until| *until > now.timestamp())
    }

    /// Hides the item until a time.
    fn hide(&mut self, id: &str, until: DateTime<Utc>) {
        self.0.insert(id.to_owned(), until.timestamp());
    }

    fn parse(text: &str, now: DateTime<Utc>) -> Self {
        let mut items: BTreeMap<String, i64> = serde_json::from_str(text).unwrap_or_default();
        items.retain(|_, until| *until > now.timestamp());
        Self(items)
    }
}

/// Reads the hidden items that have not expired.
fn load() -> Snoozed {
    let text = storage().and_then(|storage| storage.get_item(KEY).ok().flatten()).unwrap_or_default();
    Snoozed::parse(&text, crate::text::now())
}

/// Stores the hidden items. If the browser's storage is off, they stay hidden only until the dashboard is loaded again.
fn store(snoozed: &Snoozed) {
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
