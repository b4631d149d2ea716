//! The tabs of a page.

use dioxus::prelude::*;

use crate::{address, dom};

/// One tab of [`TabLinks`].
#[derive(Debug, Clone, PartialEq)]
pub struct TabLink {
    /// The value of the parameter `tab` in the address.
    pub name: &'static str,
    pub label: &'static str,
    /// Number of items under the tab, as text. Empty if the tab shows no number.
    pub count: String,
}

impl TabLink {
    pub fn new(name: &'static str, label: &'static str) -> Self {
        Self { name, label, count: String::new() }
    }
}

/// The tabs of a page. Each tab has its own address: the page's address with the parameter `tab`. The first tab omits
/// the parameter. The arrow keys move between tabs.
#[component]
pub fn TabLinks(
    /// The accessible name of the list.
    name: String,
    /// The address of the page with its first tab.
    page: String,
    tabs: Vec<TabLink>,
    /// The name of the tab that is shown.
    selected: String,
) -> Element {
    let ids: Vec<String> = tabs.iter().map(|tab| format!("tab-{}", tab.name)).collect();
    rsx! {
        div { class: "tabs", role: "tablist", "aria-label": name,
            for (position, tab) in tabs.into_iter().enumerate() {
                Tab {
                    key: "{tab.name}",
                    to: if position == 0 { page.clone() } else { tab_address(&page, tab.name) },
                    selected: tab.name == selected,
                    neighbours: neighbours(&ids, position),
                    tab,
                }
            }
        }
    }
}

#[component]
fn Tab(tab: TabLink, to: String, selected: bool, neighbours: (String, String)) -> Element {
    rsx! {
        a {
            role: "tab",
            id: "tab-{tab.name}",
            href: "{to}",
            "aria-selected": selected.to_string(),
            tabindex: if selected { "0" } else { "-1" },
            onkeydown: move |event| {
                let next = match event.key() {
                    Key::ArrowLeft => &neighbours.0,
                    Key::ArrowRight => &neighbours.1,
                    _ => return,
                };
                event.prevent_default();
                if let Some(tab) = dom::find(&format!("#{next}")) {
                    let _ = tab.focus();
                    tab.click();
                }
            },
            onclick: {
                let to = to.clone();
                move |event: MouseEvent| {
                    if event.modifiers().is_empty() {
                        event.prevent_default();
                        address::go(&to);
                    }
                }
            },
            "{tab.label}"
            if !tab.count.is_empty() {
                span { class: "n", "aria-hidden": "true", "{tab.count}" }
            }
        }
    }
}

fn tab_address(page: &str, tab: &str) -> String {
    let separator = if page.contains('?') { '&' } else { '?' };
    format!("{page}{separator}tab={tab}")
}

/// Returns the ids of the tabs before and after the one at `position`. Wraps around at both ends.
fn neighbours(ids: &[String], position: usize) -> (String, String) {
    let id = |position: usize| ids.get(position % ids.len().max(1)).cloned().unwrap_or_default();
    (id(position + ids.len() - 1), id(position + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tab_is_added_to_other_parameters() {
        assert_eq!(tab_address("/jobs/1", "settings"), "/jobs/1?tab=settings");
        assert_eq!(tab_address("/projects/1/tables?table=a", "access"), "/projects/1/tables?table=a&tab=access");
    }

    #[test]
    fn neighbours_of_the_ends_are_at_the_other_end() {
        let ids = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(neighbours(&ids, 0), ("c".to_owned(), "b".to_owned()));
        assert_eq!(neighbours(&ids, 2), ("b".to_owned(), "a".to_owned()));
    }
}
