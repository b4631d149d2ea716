//! The editor of the open query: Monaco, or a plain text field until Monaco is loaded, on phones, and with
//! `?editor=plain`.
//!
//! Both have the same accessible name. The functions of this module work with both.

use std::ops::Range;

use dioxus::{events::MountedEvent, prelude::*, web::WebEventExt as _};
use futures_util::StreamExt as _;
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};
use web_sys::HtmlTextAreaElement;

use super::{
    bindings::{self, Monaco},
    history, offsets,
    run::{self, Act},
    saved, side,
    workspace::{EditorSelection, Workspace},
};
use crate::{
    dom,
    frame::overlay::{self, Overlay},
    ui::{messages, narrow::is_narrow},
};

/// Maximum number of frames in which [`focus_opened`] tries to focus the editor.
const FOCUS_FRAMES: u32 = 60;

/// Id of the plain text field.
const PLAIN_ID: &str = "sql-text";

/// The editor. If `plain` is true, Monaco is never loaded.
#[component]
pub(super) fn Editor(workspace: Workspace, plain: bool) -> Element {
    let mut workspace = workspace;
    let is_loaded = workspace.monaco.read().is_some();
    // Monaco's reports: "changed", "moved", or a command. They are queued, because Monaco calls from outside of Dioxus.
    let reports = use_coroutine(move |mut reports: UnboundedReceiver<String>| async move {
        while let Some(report) = reports.next().await {
            handle(workspace, &report);
        }
    });
    use_effect(move || {
        let active = workspace.active.read().clone();
        let monaco = workspace.monaco.read().clone();
        if let (Some(monaco), Some(tab)) = (monaco, workspace.peek_tab(&active)) {
            monaco.open(&active, &tab.text);
        }
    });
    use_effect(move || {
        if let (Some(monaco), Some(Ok(schema))) = (&*workspace.monaco.read(), &*workspace.schema.read()) {
            monaco.set_schema(&super::schema::for_completion(schema));
        }
    });
    use_drop(move || {
        let monaco = workspace.monaco.write().take();
        if let Some(monaco) = monaco {
            monaco.dispose();
        }
    });
    rsx! {
        div { class: "sql-editor",
            if !plain {
                div {
                    class: "sql-monaco",
                    hidden: !is_loaded,
                    onmounted: move |event| load(workspace, reports.tx(), event),
                }
            }
            if plain || !is_loaded {
                Plain { workspace }
            }
        }
    }
}

/// The plain text field.
#[component]
fn Plain(workspace: Workspace) -> Element {
    let text = workspace.active_tab().map(|tab| tab.text.to_string()).unwrap_or_default();
    rsx! {
        textarea {
            id: PLAIN_ID,
            class: "sql-plain",
            "aria-label": "SQL text",
            spellcheck: "false",
            autocomplete: "off",
            "autocapitalize": "off",
            placeholder: "Write SQL. Ctrl-Enter runs the statement under the cursor.",
            value: "{text}",
            oninput: move |event| {
                workspace.typed(&event.value());
                pull(workspace);
            },
            onselect: move |_| pull(workspace),
            onkeyup: move |_| pull(workspace),
            onclick: move |_| pull(workspace),
            onkeydown: move |event| {
                if let Some(command) = command_of(&event) {
                    event.prevent_default();
                    handle(workspace, command);
                }
            },
        }
    }
}

/// Returns the command of a key. `web/sql/editor.js` defines the same keys for Monaco.
fn command_of(event: &KeyboardEvent) -> Option<&'static str> {
    let modifiers = event.modifiers();
    let control = modifiers.ctrl() || modifiers.meta();
    match event.key() {
        Key::Enter if control && modifiers.shift() => Some("run-all"),
        Key::Enter if control => Some("run"),
        Key::Character(key) if control && key == "." => Some("cancel"),
        Key::Character(key) if control && key == "s" => Some("save"),
        Key::ArrowUp if modifiers.alt() => Some("older"),
        Key::ArrowDown if modifiers.alt() => Some("newer"),
        _ => None,
    }
}

fn handle(workspace: Workspace, report: &str) {
    match report {
        "run" => run::start(workspace, Act::Run),
        "run-all" => run::start(workspace, Act::RunAll),
        "cancel" => run::cancel(workspace, &workspace.active.peek().clone()),
        "save" => saved::save(workspace),
        "older" => history::step(workspace, true),
        "newer" => history::step(workspace, false),
        "palette" => overlay::open(Overlay::Palette),
        _ => pull(workspace),
    }
}

/// Loads Monaco in place of the plain text field, with its text, cursor and focus.
fn load(mut workspace: Workspace, reports: futures_channel::mpsc::UnboundedSender<String>, event: MountedEvent) {
    let Some(element) = event.data().try_as_web_event() else { return };
    spawn(async move {
        let notify = Closure::<dyn FnMut(JsValue)>::new(move |report: JsValue| {
            let _ = reports.unbounded_send(report.as_string().unwrap_or_default());
        });
        match bindings::create_monaco(&element, notify.as_ref().unchecked_ref()).await {
            Ok(monaco) => {
                notify.forget();
                pull(workspace);
                copy_plain_field_to(workspace, &monaco);
                workspace.monaco.set(Some(monaco));
            }
            Err(_) => messages::show_failure("The editor did not load. The plain text field works without it."),
        }
    });
}

fn copy_plain_field_to(workspace: Workspace, monaco: &Monaco) {
    let Some(tab) = workspace.active_tab() else { return };
    let had_focus = plain_field().is_some_and(|field| {
        let active =
            web_sys::window().and_then(|window| window.document()).and_then(|document| document.active_element());
        active.as_ref() == Some(field.as_ref())
    });
    let editor_selection = *workspace.editor_selection.peek();
    monaco.open(&tab.id, &tab.text);
    monaco.select(
        offsets::to_utf16(&tab.text, editor_selection.start) as u32,
        offsets::to_utf16(&tab.text, editor_selection.end) as u32,
    );
    if had_focus {
        let monaco = monaco.clone();
        // Monaco takes the focus only once it is visible.
        spawn(async move {
            gloo_timers::future::TimeoutFuture::new(0).await;
            monaco.focus();
        });
    }
}

/// Copies text and selection from the editor to the workspace.
pub(super) fn pull(mut workspace: Workspace) {
    let monaco = workspace.monaco.peek().clone();
    let (text, selection) = if let Some(monaco) = monaco {
        (monaco.text(), monaco.selection())
    } else if let Some(field) = plain_field() {
        let start = field.selection_start().ok().flatten().unwrap_or_default();
        let end = field.selection_end().ok().flatten().unwrap_or_default();
        (field.value(), vec![end, start, end])
    } else {
        return;
    };
    workspace.typed(&text);
    let at = |index: usize| offsets::from_utf16(&text, selection.get(index).copied().unwrap_or_default() as usize);
    let editor_selection = EditorSelection { cursor: at(0), start: at(1), end: at(2) };
    if *workspace.editor_selection.peek() != editor_selection {
        workspace.editor_selection.set(editor_selection);
    }
}

/// Focuses the editor.
pub(super) fn focus(workspace: Workspace) {
    if let Some(monaco) = workspace.monaco.peek().as_ref() {
        monaco.focus();
    } else if let Some(field) = plain_field() {
        let _ = field.focus();
    }
}

/// Focuses the editor for a query that was just opened, after the menu or the page with the button has closed. Does
/// nothing on a phone, because the focus would open its keyboard.
pub(super) fn focus_opened(workspace: Workspace) {
    if is_narrow() {
        return;
    }
    spawn(async move {
        // Monaco takes the focus only once it is visible.
        for _ in 0..FOCUS_FRAMES {
            dom::next_frame().await;
            focus(workspace);
            if has_focus() {
                return;
            }
        }
    });
}

fn has_focus() -> bool {
    dom::active_element().is_some_and(|element| element.closest(".sql-editor").ok().flatten().is_some())
}

/// Replaces the selection with `text`, or inserts it at the cursor.
pub(super) fn insert(workspace: Workspace, text: &str) {
    side::close();
    if let Some(monaco) = workspace.monaco.peek().as_ref() {
        return monaco.insert(text);
    }
    if let Some(field) = plain_field() {
        let _ = field.set_range_text(text);
        workspace.typed(&field.value());
        let _ = field.focus();
    }
}

/// Replaces the whole text. In Monaco, undo restores the previous one.
pub(super) fn replace(workspace: Workspace, text: &str) {
    if let Some(monaco) = workspace.monaco.peek().as_ref() {
        return monaco.replace_text(text);
    }
    workspace.typed(text);
}

/// Selects a range of bytes of the text and scrolls to it.
pub(super) fn select(workspace: Workspace, range: &Range<usize>) {
    let Some(tab) = workspace.active_tab() else { return };
    let (start, end) =
        (offsets::to_utf16(&tab.text, range.start) as u32, offsets::to_utf16(&tab.text, range.end) as u32);
    if let Some(monaco) = workspace.monaco.peek().as_ref() {
        monaco.select(start, end);
        monaco.focus();
    } else if let Some(field) = plain_field() {
        let _ = field.focus();
        let _ = field.set_selection_range(start, end);
    }
    pull(workspace);
}

/// Marks the statement that "Run" would run. The plain text field has no marks.
pub(super) fn show_statement(workspace: Workspace, text: &str, range: Option<Range<usize>>) {
    if let Some(monaco) = workspace.monaco.peek().as_ref() {
        let range = range.unwrap_or_default();
        monaco.show_statement(offsets::to_utf16(text, range.start) as u32, offsets::to_utf16(text, range.end) as u32);
    }
}

/// Underlines problems in Monaco, given as ranges of bytes with messages. The plain text field does not show them.
pub(super) fn show_problems(workspace: Workspace, problems: &[(Range<usize>, &str)]) {
    let (Some(monaco), Some(tab)) = (&*workspace.monaco.peek(), workspace.peek_tab(&workspace.active.peek())) else {
        return;
    };
    let problems: Vec<serde_json::Value> = problems
        .iter()
        .map(|(range, message)| {
            let (start, end) = (offsets::to_utf16(&tab.text, range.start), offsets::to_utf16(&tab.text, range.end));
            serde_json::json!({ "start": start, "end": end, "message": message })
        })
        .collect();
    monaco.show_problems(&serde_json::Value::from(problems).to_string());
}

fn plain_field() -> Option<HtmlTextAreaElement> {
    web_sys::window()?.document()?.get_element_by_id(PLAIN_ID)?.dyn_into().ok()
}
