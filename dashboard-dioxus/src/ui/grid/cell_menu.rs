//! The menu of a cell: a right click or the Menu key opens it.

use dioxus::{events::MountedEvent, prelude::*, web::WebEventExt as _};
use gloo_timers::future::TimeoutFuture;
use wasm_bindgen::JsCast as _;
use web_sys::HtmlElement;

use super::{clipboard, state::State};
use crate::{
    dom,
    ui::{IconName, MenuItem, menu::move_focus},
};

const ID: &str = "cell-menu";

/// Where the menu of the cursor's cell is open: the position of its corner in the window, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct MenuCorner {
    pub(super) left: f64,
    pub(super) top: f64,
}

#[component]
pub(super) fn CellMenu(state: State, corner: MenuCorner) -> Element {
    let source = state.source.peek().clone();
    let position = state.position();
    let can_change = source.can_change(position);
    let can_open = source.row(position.row).name.is_some();
    let (for_filter, for_row, for_deletion) = (source.clone(), source.clone(), source.clone());
    rsx! {
        div {
            id: ID,
            class: "menu cell-menu",
            role: "menu",
            "aria-label": "Actions for the cell",
            // An `auto` popover would close when the mouse button that opens the menu is released.
            "popover": "manual",
            style: "left: {corner.left}px; top: {corner.top}px",
            onmounted: move |event: MountedEvent| show(&event),
            onfocusout: move |_| {
                spawn(async move {
                    // An arrow key only moves the focus to another entry.
                    TimeoutFuture::new(0).await;
                    if dom::find("#cell-menu:focus-within").is_none() {
                        state.close_menu(corner);
                    }
                });
            },
            onkeydown: move |event: KeyboardEvent| {
                if matches!(event.key(), Key::Escape | Key::Tab) {
                    event.prevent_default();
                    // A sheet around the grid must not close.
                    event.stop_propagation();
                    state.focus_cursor();
                    state.close_menu(corner);
                } else {
                    move_focus(event);
                }
            },
            oncontextmenu: move |event| event.prevent_default(),
            onclick: move |_| {
                state.focus_cursor();
                state.close_menu(corner);
            },
            if can_change {
                MenuItem { onselect: move |()| { state.set_null(); }, "Set NULL" }
            }
            MenuItem { icon: Some(IconName::Copy), onselect: move |()| clipboard::copy(state), "Copy" }
            if source.can_filter() {
                MenuItem {
                    icon: Some(IconName::Filter),
                    onselect: move |()| for_filter.filter_by(position),
                    "Filter by this value"
                }
            }
            if can_open {
                MenuItem {
                    icon: Some(IconName::Sidebar),
                    onselect: move |()| for_row.open(position),
                    "Open row"
                }
            }
            if can_open && source.can_delete() {
                MenuItem {
                    icon: Some(IconName::Trash),
                    danger: true,
                    onselect: move |()| for_deletion.delete_row(position.row),
                    "Delete row"
                }
            }
        }
    }
}

/// Shows the menu within the window, with the focus in its first entry.
fn show(event: &MountedEvent) {
    let menu = event.data().try_as_web_event().and_then(|menu| menu.dyn_into::<HtmlElement>().ok());
    let (Some(menu), Some(window)) = (menu, web_sys::window()) else { return };
    let _ = menu.show_popover();
    let bounds = menu.get_bounding_client_rect();
    let width = window.inner_width().ok().and_then(|width| width.as_f64()).unwrap_or(f64::MAX);
    let height = window.inner_height().ok().and_then(|height| height.as_f64()).unwrap_or(f64::MAX);
    let (left, top) = within(width, height, bounds.width(), bounds.height(), bounds.left(), bounds.top());
    let _ = menu.style().set_property("left", &format!("{left}px"));
    let _ = menu.style().set_property("top", &format!("{top}px"));
    dom::focus("#cell-menu button");
}

/// Returns the corner of a menu of this size so that the window contains the menu.
fn within(width: f64, height: f64, menu_width: f64, menu_height: f64, left: f64, top: f64) -> (f64, f64) {
    (left.min(width - menu_width).max(0.0), top.min(height - menu_height).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn menu_stays_in_the_window() {
        for (corner, expected) in [((10.0, 20.0), (10.0, 20.0)), ((790.0, 590.0), (600.0, 500.0))] {
            assert_eq!(within(800.0, 600.0, 200.0, 100.0, corner.0, corner.1), expected);
        }
        assert_eq!(within(100.0, 600.0, 200.0, 100.0, 50.0, 0.0), (0.0, 0.0));
    }
}
