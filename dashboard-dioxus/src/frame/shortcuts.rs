//! Keys that work everywhere, and the dialog that lists them.

use std::cell::RefCell;

use dioxus::prelude::*;
use wasm_bindgen::{JsCast as _, closure::Closure};
use web_sys::{HtmlElement, KeyboardEvent};

use super::{
    overlay::{self, Overlay},
    places::{self, PLATFORM, ROOMS},
};
use crate::{
    address,
    app::Route,
    dom, theme,
    ui::{Dialog, Icon, IconName},
};

/// Milliseconds within which the second key must follow `g`.
const SEQUENCE_MS: f64 = 1_500.0;

thread_local! {
    static LISTENER: RefCell<Option<Closure<dyn FnMut(KeyboardEvent)>>> = const { RefCell::new(None) };
}

/// Listens to the keys of the whole page, once.
pub(super) fn listen() {
    let runtime = dioxus::core::Runtime::current();
    let scope = dioxus::core::current_scope_id();
    let mut prefix_at = 0.0;
    let listener = Closure::<dyn FnMut(KeyboardEvent)>::new(move |event: KeyboardEvent| {
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
    let is_plain = !command && !event.alt_key();
    if !is_plain || !theme::has_single_key_shortcuts() || is_field(event) || has_dialog() {
        return;
    }
    let now = js_sys::Date::now();
    if now - *prefix_at < SEQUENCE_MS {
        *prefix_at = 0.0;
        if let Some(to) = place_of(&key) {
            event.prevent_default();
            address::go(&to);
        }
        return;
    }
    let is_done = match key.as_str() {
        "g" => {
            *prefix_at = now;
            true
        }
        "?" => {
            overlay::open(Overlay::Shortcuts);
            true
        }
        "/" => dom::focus("main input[type=search]"),
        "c" => click("main [data-create]"),
        "r" => click("main [aria-label=Refresh]"),
        "[" => click("main [aria-label='Previous page']"),
        "]" => click("main [aria-label='Next page']"),
        "j" | "ArrowDown" => move_in_list(1, &key),
        "k" | "ArrowUp" => move_in_list(-1, &key),
        "." => row_menu(),
        _ => false,
    };
    if is_done {
        event.prevent_default();
    }
}

fn place_of(key: &str) -> Option<String> {
    if let Some(place) = PLATFORM.iter().find(|place| place.key == Some(key)) {
        return Some(place.path.to_owned());
    }
    let project = places::project_of(&router().current::<Route>())?;
    let room = ROOMS.iter().find(|room| room.key == Some(key))?;
    Some(places::room_address(&project, room))
}

/// Returns whether the key goes to an element that handles keys itself.
fn is_field(event: &KeyboardEvent) -> bool {
    let Some(target) = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok()) else { return false };
    const HANDLES_KEYS: &str = "input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable], [role=grid], \
        [role=menu], [role=tablist], [role=tree], .monaco-editor";
    target.closest(HANDLES_KEYS).ok().flatten().is_some()
}

fn has_dialog() -> bool {
    dom::find("dialog[open]").is_some()
}

fn click(selector: &str) -> bool {
    match dom::find(selector) {
        Some(element) if !element.has_attribute("disabled") => {
            element.click();
            true
        }
        _ => false,
    }
}

/// Moves the focus to the link or button that opens the next row of the page's list.
fn move_in_list(step: isize, key: &str) -> bool {
    let rows = dom::find_all("main .table:not(.box-table) tbody tr, main .cards > li");
    let rows: Vec<HtmlElement> = rows.into_iter().filter(|row| row.offset_height() > 0).collect();
    let active = dom::active_element();
    let at = rows.iter().position(|row| row.contains(active.as_deref()));
    let next = match at {
        Some(at) => at.checked_add_signed(step),
        // Arrows scroll unless the list has the focus.
        None if key.starts_with("Arrow") => None,
        None => Some(0),
    };
    let Some(row) = next.and_then(|next| rows.get(next)) else { return false };
    let target = row.query_selector("a, button, input").ok().flatten();
    target.and_then(|target| target.dyn_into::<HtmlElement>().ok()).is_some_and(|target| target.focus().is_ok())
}

/// Opens the menu of the row that has the focus.
fn row_menu() -> bool {
    let row = dom::active_element().and_then(|active| active.closest("tr, li").ok().flatten());
    let button = row.and_then(|row| row.query_selector("[aria-haspopup=menu]").ok().flatten());
    let Some(button) = button.and_then(|button| button.dyn_into::<HtmlElement>().ok()) else { return false };
    button.click();
    true
}

/// The shortcuts of the dialog, by section.
const KEYS: &[(&str, &[(&str, &str)])] = &[
    (
        "Everywhere",
        &[
            ("Ctrl K", "Search or run a command"),
            ("g o", "Overview"),
            ("g p", "Projects"),
            ("g t", "Tables of the project"),
            ("g s", "SQL of the project"),
            ("g k", "API keys of the project"),
            ("/", "Filter the list"),
            ("c", "Create an entry of the list"),
            ("?", "Show this list"),
            ("Esc", "Close the topmost dialog or menu"),
        ],
    ),
    (
        "Lists",
        &[
            ("j k", "Next and previous entry"),
            ("Enter", "Open"),
            (".", "Actions for the entry"),
            ("r", "Refresh"),
            ("[ ]", "Previous and next page"),
        ],
    ),
    (
        "Rows of a table",
        &[
            ("Enter F2", "Edit the cell"),
            ("Tab", "Keep the value and move right"),
            ("Esc", "Restore the cell"),
            ("Ctrl S", "Save the changes"),
            ("Ctrl Z", "Undo the last change"),
            ("Ctrl C", "Copy the cells"),
            ("Ctrl V", "Paste into cells"),
            ("Ctrl ⌫", "Set to NULL"),
            ("Space", "Select the row"),
            ("Alt Enter", "Open the row"),
            ("f", "Filter by this value"),
            ("Alt →", "Follow the foreign key"),
        ],
    ),
];

/// The dialog that lists the keys.
#[component]
pub(super) fn Shortcuts() -> Element {
    let mut enabled = use_signal(theme::has_single_key_shortcuts);
    rsx! {
        Dialog {
            title: "Keyboard shortcuts",
            wide: true,
            on_close: |()| overlay::close(),
            footer: rsx! {
                label { class: "check grow",
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
                button { class: "btn btn-l", r#type: "button", autofocus: true, onclick: |_| overlay::close(),
                    Icon { name: IconName::Close }
                    "Close"
                }
            },
            for (subject, keys) in KEYS.iter().copied() {
                section { key: "{subject}", "aria-label": "{subject}",
                    h3 { class: "mb-2", "{subject}" }
                    dl { class: "shortcuts",
                        for (key, meaning) in keys.iter().copied() {
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
