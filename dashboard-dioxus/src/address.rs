//! Reads and writes the query of the address. Filters, pages and open sheets are part of it, so that a link or a reload
//! shows the same state.
//!
//! Dioxus's router decodes a query before it splits it, so `%26` in a value would end the value. This module uses the
//! browser's own parser instead, and the router handles only paths.

use std::cell::{Cell, RefCell};

use dioxus::{
    prelude::use_route,
    router::{NavigationTarget, navigator},
};
use web_sys::UrlSearchParams;

use crate::route::Route;

thread_local! {
    /// Whether the app itself opened the current page, not the browser's Back or Forward.
    static OPENED_HERE: Cell<bool> = const { Cell::new(false) };
}

thread_local! {
    /// The address at which the app started, until it is restored.
    static FIRST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Stores the address at which the app starts, because the router removes its query.
pub fn note_first() {
    FIRST.replace(Some(path_and_query()));
}

/// Restores the query that the router removed from the first address, unless the path has changed since then.
pub fn use_first() {
    dioxus::prelude::use_hook(|| {
        let Some(first) = FIRST.take() else { return };
        if first.split_once('?').is_none_or(|(before, _)| before != path()) {
            return;
        }
        if let Some(history) = web_sys::window().and_then(|window| window.history().ok()) {
            let state = history.state().unwrap_or_default();
            let _ = history.replace_state_with_url(&state, "", Some(&first));
        }
    });
}

/// Returns the path of the current address.
pub fn path() -> String {
    web_sys::window().and_then(|window| window.location().pathname().ok()).unwrap_or_default()
}

/// Returns path and query of the current address.
pub fn path_and_query() -> String {
    let query = web_sys::window().and_then(|window| window.location().search().ok()).unwrap_or_default();
    format!("{}{query}", path())
}

/// Returns the value of a parameter of the current address.
pub fn parameter(name: &str) -> Option<String> {
    current_query()?.get(name)
}

/// Returns the values of a parameter that may occur several times.
pub fn parameters(name: &str) -> Vec<String> {
    let Some(query) = current_query() else { return Vec::new() };
    query.get_all(name).iter().filter_map(|value| value.as_string()).collect()
}

/// Returns the value of a parameter, and subscribes the component to changes of the address.
pub fn use_parameter(name: &str) -> Option<String> {
    let _: Route = use_route();
    parameter(name)
}

/// Returns the values of a parameter, and subscribes the component to changes of the address.
pub fn use_parameters(name: &str) -> Vec<String> {
    let _: Route = use_route();
    parameters(name)
}

/// Returns an address with these parameters, encoded. Parameters without a value are left out.
pub fn with_parameters(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let Ok(query) = UrlSearchParams::new() else { return path.to_owned() };
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append(name, value);
        }
    }
    let query = String::from(query.to_string());
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// Returns the current address with another value of a parameter.
pub fn with_parameter(name: &str, value: &str) -> String {
    changed_address(name, Some(value))
}

/// Sets or removes a parameter of the current address, as a new entry in the history. Back undoes the change.
pub fn push_parameter(name: &str, value: Option<&str>) {
    go(&changed_address(name, value));
}

/// Sets or removes a parameter of the current address, without a new entry in the history.
pub fn replace_parameter(name: &str, value: Option<&str>) {
    navigator().replace(target(&changed_address(name, value)));
}

/// Changes several parameters of the current address at once, without a new entry in the history. An empty list removes
/// the parameter.
pub fn replace_parameters(changes: &[(&str, Vec<String>)]) {
    navigator().replace(target(&changed(changes)));
}

/// Changes several parameters of the current address at once, as a new entry of the history.
pub fn push_parameters(changes: &[(&str, Vec<String>)]) {
    go(&changed(changes));
}

/// Returns whether a link or an action opened the current page, not Back or Forward.
pub fn was_opened_here() -> bool {
    OPENED_HERE.get()
}

/// Records that the browser's Back or Forward changed the address.
pub fn note_history_move() {
    OPENED_HERE.set(false);
}

/// Opens an address of the dashboard.
pub fn go(address: &str) {
    OPENED_HERE.set(true);
    navigator().push(target(address));
}

/// Returns to the page from which a link or an action opened the current page. Opens `fallback` if there is no such
/// page, for example after a reload.
pub fn go_back(fallback: &str) {
    if was_opened_here() { navigator().go_back() } else { go(fallback) }
}

/// Returns a link target with this exact address.
pub fn target(address: &str) -> NavigationTarget {
    NavigationTarget::Internal(address.to_owned())
}

fn current_query() -> Option<UrlSearchParams> {
    let search = web_sys::window()?.location().search().ok()?;
    UrlSearchParams::new_with_str(&search).ok()
}

fn changed_address(name: &str, value: Option<&str>) -> String {
    changed(&[(name, value.map(str::to_owned).into_iter().collect())])
}

/// Returns the current address with other values of some parameters.
fn changed(changes: &[(&str, Vec<String>)]) -> String {
    let Some(query) = current_query() else { return path() };
    for (name, values) in changes {
        query.delete(name);
        for value in values {
            query.append(name, value);
        }
    }
    address_of(&query)
}

fn address_of(query: &UrlSearchParams) -> String {
    let query = String::from(query.to_string());
    if query.is_empty() { path() } else { format!("{}?{query}", path()) }
}
