//! Keyboard shortcuts that work on every page, and the dialog that lists all shortcuts, including those of the grid
//! and the SQL editor.

use std::cell::RefCell;

use dioxus::prelude::*;
use wasm_bindgen::{JsCast as _, closure::Closure};
use web_sys::{HtmlElement, KeyboardEvent};

use super::{
    destinations::{self, PLATFORM, PROJECT_PAGES, UNLISTED},
    overlay::{self, Overlay},
};
use crate::{address, dom, route::Route, theme, ui::Dialog};

/// Milliseconds within which the second key must follow `g`.
const SEQUENCE_MS: f64 = 1_500.0;

type Listener = Closure<dyn FnMut(KeyboardEvent)>;

thread_local! {
    static LISTENER: RefCell<Option<Listener>> = const { RefCell::new(None) };
}

/// Listens to the keys of the whole page. Replaces the listener of an earlier call, so that no key is handled twice.
pub(super) fn listen() {
    let runtime = dioxus::core::Runtime::current();
    let scope = dioxus::core::current_scope_id();
    let mut prefix_at = 0.0;
    let listener = Listener::new(move |event: KeyboardEvent| {
        runtime.in_scope(scope, || handle(&event, &mut prefix_at));
    });
    let Some(document) = dom::document() else { return };
    LISTENER.with_borrow_mut(|current| {
        if let Some(old) = current.take() {
            let _ = document.remove_event_listener_with_callback("keydown", old.as_ref().unchecked_ref());
        }
        let _ = document.add_event_listener_with_callback("keydown", listener.as_ref().unchecked_ref());
        *current = Some(listener);
    });
}

fn handle(event: &KeyboardEvent, prefix_at: &mut f64) {
    if event.default_prevented() || event.is_composing() {
        return;
    }
    let key = event.key();
    let command = event.ctrl_key() || event.meta_key();
    if command && !event.alt_key() && !event.shift_key() && key.eq_ignore_ascii_case("k") {
        event.prevent_default();
        overlay::open(Overlay::Palette);
        return;
    }
    if command || event.alt_key() || has_dialog() {
        return;
    }
    if overlay::type_ahead(&key) {
        event.prevent_default();
        return;
    }
    // Escape and Shift-Enter work even while single-key shortcuts are off.
    let is_done = match key.as_str() {
        "Escape" => click(".sheet > header [aria-label=Close]"),
        "Enter" if event.shift_key() => open_page(),
        _ => theme::has_single_key_shortcuts() && !is_field(event) && handle_character(event, &key, prefix_at),
    };
    if is_done {
        event.prevent_default();
    }
}

/// Handles a key that was pressed without Ctrl, Meta or Alt. Returns whether the key had an effect.
fn handle_character(event: &KeyboardEvent, key: &str, prefix_at: &mut f64) -> bool {
    let now = js_sys::Date::now();
    if now - *prefix_at < SEQUENCE_MS {
        *prefix_at = 0.0;
        let to = place_of(key);
        if let Some(to) = &to {
            address::go(to);
        }
        return to.is_some();
    }
    match key {
        "g" => {
            *prefix_at = now;
            true
        }
        "?" => {
            overlay::open(Overlay::Shortcuts);
            true
        }
        "/" => dom::focus("main input[type=search]"),
        "c" => click("main [data-create]") || click("main .head .acts .btn-primary"),
        "r" => click_named(&["Refresh"]),
        "[" => click_named(&["Previous page", "First page"]),
        "]" => click_named(&["Next page"]),
        "j" => move_in_list(1, true),
        "k" => move_in_list(-1, true),
        // Arrows scroll unless a row of the list has the focus.
        "ArrowDown" if !moves_by_arrows(event) => move_in_list(1, false),
        "ArrowUp" if !moves_by_arrows(event) => move_in_list(-1, false),
        // A switch is excluded because clicking it would change the entry.
        "x" => in_row("input[type=checkbox]:not([role=switch])"),
        "." => in_row("[aria-haspopup=menu]"),
        _ => false,
    }
}

fn place_of(key: &str) -> Option<String> {
    let unlisted = UNLISTED.iter().map(|(destination, _)| destination);
    if let Some(destination) = PLATFORM.iter().chain(unlisted).find(|destination| destination.key == Some(key)) {
        return Some(destination.path.to_owned());
    }
    let project = destinations::open_project(&router().current::<Route>())?;
    let project_page = PROJECT_PAGES.iter().find(|project_page| project_page.key == Some(key))?;
    Some(destinations::project_page_address(&project, project_page))
}

/// Returns whether the key is typed into an element that uses characters itself.
fn is_field(event: &KeyboardEvent) -> bool {
    is_in(
        event,
        "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable], [role=grid], [role=menu], \
         .monaco-editor",
    )
}

fn moves_by_arrows(event: &KeyboardEvent) -> bool {
    is_in(event, "[role=tablist], [role=tree], [role=radiogroup], [role=log], input")
}

fn is_in(event: &KeyboardEvent, selector: &str) -> bool {
    let Some(target) = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok()) else {
        return false;
    };
    target.closest(selector).ok().flatten().is_some()
}

fn has_dialog() -> bool {
    dom::find("dialog[open], :popover-open").is_some()
}

fn click(selector: &str) -> bool {
    dom::find(selector).is_some_and(press)
}

/// Clicks the first visible button of the page with one of these names. Returns whether it was clicked.
fn click_named(names: &[&str]) -> bool {
    let named = dom::find_all("main button").into_iter().find(|button| {
        let label = button.get_attribute("aria-label").or_else(|| button.text_content()).unwrap_or_default();
        button.offset_height() > 0 && names.contains(&label.trim())
    });
    named.is_some_and(press)
}

fn press(element: HtmlElement) -> bool {
    let is_enabled = element.matches(":not(:disabled, [aria-disabled=true])").unwrap_or(false);
    if is_enabled {
        element.click();
    }
    is_enabled
}

/// Moves the focus by `step` rows in the list of the page, to the link or button that opens the row. If no row has the
/// focus, moves it to the first row if `begins` is true, and otherwise does nothing. Returns whether the focus moved.
fn move_in_list(step: isize, begins: bool) -> bool {
    let rows = dom::find_all("main .table:not(.box-table) tbody tr, main .cards > li");
    let is_of_page = |row: &HtmlElement| row.offset_height() > 0 && row.closest(".sheet").ok().flatten().is_none();
    let rows: Vec<HtmlElement> = rows.into_iter().filter(is_of_page).collect();
    let active = dom::active_element();
    let at = rows.iter().position(|row| row.contains(active.as_deref()));
    let next = match at {
        Some(at) => at.checked_add_signed(step),
        None => begins.then_some(0),
    };
    let Some(row) = next.and_then(|next| rows.get(next)) else { return false };
    // Prefers the link or button that opens the row over its checkbox and its menu. Entries of a closed menu can't have
    // the focus.
    let target = ["a:not([role=menuitem])", "button:not([aria-haspopup], [role=menuitem])", "button, input"]
        .into_iter()
        .find_map(|selector| row.query_selector(selector).ok().flatten()?.dyn_into::<HtmlElement>().ok());
    target.is_some_and(|target| target.focus().is_ok())
}

/// Returns the table row or list item that contains the focus.
fn row() -> Option<web_sys::Element> {
    dom::active_element()?.closest("main tr, main li").ok().flatten()
}

/// Clicks the first element of the focused row that matches the selector. Returns whether it was clicked.
fn in_row(selector: &str) -> bool {
    let element = row().and_then(|row| row.query_selector(selector).ok().flatten());
    element.and_then(|element| element.dyn_into::<HtmlElement>().ok()).is_some_and(press)
}

/// Opens the full page of the row that has the focus, even if Enter would open the row's sheet. Returns whether the row
/// has a page.
fn open_page() -> bool {
    let link = row().and_then(|row| {
        let of_page = row.query_selector("a[data-page]").ok().flatten();
        of_page.or_else(|| row.query_selector("a").ok().flatten())
    });
    let address = link.and_then(|link| {
        link.get_attribute("data-page").filter(|to| !to.is_empty()).or_else(|| link.get_attribute("href"))
    });
    match address.filter(|to| to.starts_with('/')) {
        Some(to) => {
            address::go(&to);
            true
        }
        None => false,
    }
}

/// Shortcuts with their meanings. The keys of a shortcut are separated by spaces.
type Meanings = Vec<(String, &'static str)>;

/// Returns all shortcuts, grouped by subject.
fn keys() -> Vec<(&'static str, Meanings)> {
    let fixed = |keys: &[(&str, &'static str)]| -> Meanings {
        keys.iter().map(|(keys, meaning)| ((*keys).to_owned(), *meaning)).collect()
    };
    let unlisted = UNLISTED.iter().map(|(destination, _)| destination);
    let pages = PLATFORM.iter().chain(unlisted).chain(PROJECT_PAGES);
    let pages = pages.filter_map(|destination| Some((format!("g {}", destination.key?), destination.label))).collect();
    let mut sql = fixed(SQL);
    sql.push((keys_to_leave_sql().to_owned(), "Let Tab leave the editor"));
    vec![
        ("Everywhere", fixed(EVERYWHERE)),
        ("Go to", pages),
        ("Lists", fixed(LISTS)),
        ("Rows of a table", fixed(ROWS)),
        ("SQL", sql),
    ]
}

const EVERYWHERE: &[(&str, &str)] = &[
    ("Ctrl K", "Search or run a command"),
    ("/", "Filter the list"),
    ("c", "Create a new entry"),
    ("?", "Show keyboard shortcuts"),
    ("Esc", "Close the dialog, menu or sheet"),
];

const LISTS: &[(&str, &str)] = &[
    ("j k", "Next and previous entry"),
    ("Enter", "Open"),
    ("⇧ Enter", "Open the full page"),
    ("x", "Select"),
    (".", "Open the entry's actions"),
    ("r", "Refresh"),
    ("[ ]", "Previous and next page"),
];

const ROWS: &[(&str, &str)] = &[
    ("Enter F2", "Edit the cell"),
    ("Tab", "Keep the value and move right"),
    ("Esc", "Discard the edit"),
    ("Ctrl S", "Save the changes"),
    ("Ctrl Z", "Undo the last change"),
    ("Ctrl ⇧ Z", "Repeat the undone change"),
    ("Ctrl C", "Copy the cells"),
    ("Ctrl V", "Paste into cells"),
    ("Ctrl ⌫", "Set the cells to NULL"),
    ("⇧ F10", "Open the menu of the cell"),
    ("Space", "Select the row"),
    ("Alt Enter", "Open the row"),
    ("f", "Filter by this value, if the table can't be edited"),
    ("Alt →", "Follow the foreign key"),
];

const SQL: &[(&str, &str)] = &[
    ("Ctrl Enter", "Run the selection or the statement"),
    ("Ctrl ⇧ Enter", "Run everything"),
    ("Ctrl .", "Cancel the run"),
    ("Ctrl S", "Save the query"),
    ("Alt ↑", "Replace the text with the older query of the history"),
    ("Alt ↓", "Replace the text with the newer query of the history"),
];

/// Returns the keys with which Tab leaves the SQL editor, separated by spaces.
pub fn keys_to_leave_sql() -> &'static str {
    if dom::is_mac() { "Ctrl ⇧ M" } else { "Ctrl M" }
}

/// The dialog that lists all keyboard shortcuts and switches those of a single key on and off.
#[component]
pub fn Shortcuts() -> Element {
    let mut enabled = use_signal(theme::has_single_key_shortcuts);
    rsx! {
        Dialog {
            title: "Keyboard shortcuts",
            wide: true,
            on_close: |()| overlay::close(),
            footer: rsx! {
                button { class: "btn btn-l", r#type: "button", autofocus: true, onclick: |_| overlay::close(), "Close" }
            },
            label { class: "check",
                input {
                    class: "switch",
                    r#type: "checkbox",
                    role: "switch",
                    checked: enabled(),
                    onchange: move |event| {
                        enabled.set(event.checked());
                        theme::set_single_key_shortcuts(event.checked());
                    },
                }
                "Single-key shortcuts"
            }
            for (subject, keys) in keys() {
                section { key: "{subject}", "aria-label": "{subject}",
                    h3 { class: "mb-2", "{subject}" }
                    dl { class: "shortcuts",
                        for (key, meaning) in keys {
                            div { key: "{meaning}",
                                dt { "{meaning}" }
                                dd {
                                    for part in key.split(' ') {
                                        kbd { key: "{part}", "{part}" }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
