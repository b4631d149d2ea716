//! The search field over a list of entries, for the command palette, the project switcher, and the search for a user.

use std::sync::atomic::{AtomicU32, Ordering};

use dioxus::prelude::*;

use super::{Icon, IconName};
use crate::dom;

static NEXT_ID: AtomicU32 = AtomicU32::new(0);

/// An entry of a [`Finder`].
#[derive(Debug, Clone, PartialEq)]
pub struct FinderOption {
    /// Heading of the entry's group. Entries of one group must be adjacent.
    pub group: &'static str,
    pub icon: IconName,
    pub text: String,
    /// Additional text, for example the project of a table.
    pub detail: String,
    /// Keyboard shortcut of the same action.
    pub keys: Vec<&'static str>,
}

/// A search field over a list: the arrow keys choose, Enter accepts. While the list is loading, Enter accepts the first
/// entry as soon as there is one. The focus stays in the field.
#[component]
pub fn Finder(
    /// Name of the field.
    name: String,
    list_name: String,
    options: Vec<FinderOption>,
    query: Signal<String>,
    /// Called with the index of the entry, and whether Ctrl or Cmd was held.
    on_choose: EventHandler<(usize, bool)>,
    #[props(default)] empty: String,
    /// Whether entries are being loaded.
    #[props(default)]
    loading: bool,
    #[props(default = true)] autofocus: bool,
    /// Whether Enter was pressed before the field was shown.
    #[props(default)]
    is_entered: bool,
) -> Element {
    let id = use_hook(|| format!("finder-{}", NEXT_ID.fetch_add(1, Ordering::Relaxed)));
    let mut query = query;
    let mut chosen = use_signal(|| 0_usize);
    let count = options.len();
    let at = chosen().min(count.saturating_sub(1));
    // Set if Enter was pressed before there was an entry. The value is true if Ctrl or Cmd was held.
    let mut awaited = use_signal(|| is_entered.then_some(false));
    use_effect(use_reactive!(|count, loading| {
        let Some(held) = *awaited.peek() else { return };
        if count > 0 {
            awaited.set(None);
            on_choose.call((0, held));
        } else if !loading {
            awaited.set(None);
        }
    }));
    let mut groups: Vec<(&'static str, Vec<(usize, FinderOption)>)> = Vec::new();
    for (index, option) in options.into_iter().enumerate() {
        match groups.last_mut() {
            Some((group, entries)) if *group == option.group => entries.push((index, option)),
            _ => groups.push((option.group, vec![(index, option)])),
        }
    }
    let list_id = id.clone();
    let onkeydown = move |event: KeyboardEvent| {
        // An input method uses the key: Enter chooses one of its suggestions.
        if event.is_composing() {
            return;
        }
        let held = event.modifiers().ctrl() || event.modifiers().meta();
        let next = match event.key() {
            Key::ArrowDown => (at + 1) % count.max(1),
            Key::ArrowUp => (at + count.max(1) - 1) % count.max(1),
            Key::PageDown => (at + 8).min(count.saturating_sub(1)),
            Key::PageUp => at.saturating_sub(8),
            Key::Enter => {
                event.prevent_default();
                if at < count {
                    on_choose.call((at, held));
                } else if loading {
                    awaited.set(Some(held));
                }
                return;
            }
            _ => return,
        };
        event.prevent_default();
        chosen.set(next);
        dom::scroll_into_view(&format!("{list_id}-{next}"));
    };
    rsx! {
        div { class: "q",
            Icon { name: IconName::Search }
            input {
                role: "combobox",
                "aria-label": "{name}",
                "aria-expanded": "true",
                "aria-controls": "{id}",
                "aria-activedescendant": (count > 0).then(|| format!("{id}-{at}")),
                "aria-autocomplete": "list",
                autocomplete: "off",
                spellcheck: "false",
                autofocus,
                placeholder: "{name}",
                value: "{query}",
                oninput: move |event| {
                    query.set(event.value());
                    chosen.set(0);
                    awaited.set(None);
                },
                onkeydown,
            }
            kbd { "Esc" }
        }
        div { class: "finder-list", id: "{id}", role: "listbox", "aria-label": "{list_name}",
            for (group, entries) in groups {
                div { key: "{group}", class: "group", role: "group", "aria-label": "{group}",
                    if !group.is_empty() {
                        div { class: "group-title", "aria-hidden": "true", "{group}" }
                    }
                    for (index, option) in entries {
                        div {
                            key: "{index}-{option.text}",
                            id: "{id}-{index}",
                            class: if index == at { "option is-on" } else { "option" },
                            role: "option",
                            "aria-selected": (index == at).to_string(),
                            onmousemove: move |_| {
                                if *chosen.peek() != index {
                                    chosen.set(index);
                                }
                            },
                            onclick: move |event| {
                                let held = event.modifiers().ctrl() || event.modifiers().meta();
                                on_choose.call((index, held));
                            },
                            Icon { name: option.icon }
                            span { class: "cut", "{option.text}" }
                            span { class: "where", "{option.detail}" }
                            for key in option.keys {
                                kbd { key: "{key}", "{key}" }
                            }
                        }
                    }
                }
            }
        }
        if count == 0 {
            p { class: "finder-empty muted", role: "status", "{empty}" }
        }
    }
}

/// Returns whether a text contains every word of a query, in any case and order.
pub fn matches(text: &str, query: &str) -> bool {
    let text = text.to_lowercase();
    query.split_whitespace().all(|word| text.contains(&word.to_lowercase()))
}
