//! Channels whose settings were tested before they were saved. The server does not store such a test, so the dashboard
//! remembers it until the page is loaded again.

use std::collections::BTreeSet;

use dioxus::prelude::*;

/// Ids of the channels.
static TESTED: GlobalSignal<BTreeSet<String>> = Signal::global(BTreeSet::new);

/// Remembers whether the settings of a channel were tested before they were saved.
pub(super) fn note_saved(channel: &str, was_tested: bool) {
    let mut tested = TESTED.write();
    if was_tested {
        tested.insert(channel.to_owned());
    } else {
        tested.remove(channel);
    }
}

/// Returns whether a channel's settings were tested before they were saved, and subscribes the caller.
pub(super) fn was_tested(channel: &str) -> bool {
    TESTED.read().contains(channel)
}
