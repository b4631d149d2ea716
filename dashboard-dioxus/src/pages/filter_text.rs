//! The text that filters a list, which is also in the address.

use dioxus::prelude::*;

use crate::address;

/// Returns the text that filters a list. It is also the parameter `q` of the address: typing changes the address, and
/// links and Back change the text.
pub(super) fn use_filter_text() -> Signal<String> {
    let in_address = address::use_parameter("q").unwrap_or_default();
    let mut text = use_signal(|| in_address.clone());
    // The last text that was both in the field and in the address.
    let mut shared = use_signal(|| in_address.clone());
    use_effect(use_reactive!(|in_address| {
        if *shared.peek() != in_address {
            shared.set(in_address.clone());
            text.set(in_address);
        }
    }));
    use_effect(move || {
        let typed = text.read().trim().to_owned();
        if *shared.peek() != typed {
            shared.set(typed.clone());
            let typed = if typed.is_empty() { Vec::new() } else { vec![typed] };
            address::replace_parameters(&[("q", typed), ("after", Vec::new()), ("offset", Vec::new())]);
        }
    });
    text
}
