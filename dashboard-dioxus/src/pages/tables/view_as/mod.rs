//! The rows of a table as a visitor or a signed-in user can read them, to see whether policies work.
//!
//! The parameter `as` of the address names the viewer, as in the admin API. [`choice`] sets it, with [`find_user`].
//! [`viewed_rows`] draws the rows, and [`refused`] says why there are none. While the address names a viewer, rows
//! can't be opened or changed.

mod choice;
mod find_user;
mod refused;
mod viewed_rows;

use api_types::ProjectUserDetail;
use dioxus::prelude::*;

use crate::{
    address,
    remote::{Remote, use_remote},
};

pub(super) use choice::Choice;
pub(super) use refused::Refused;
pub(super) use viewed_rows::ViewedRows;

/// Name of the parameter, both of the address and of the admin API.
pub(super) const PARAMETER: &str = "as";

/// The viewer that has the publishable key alone.
const PUBLISHABLE: &str = "publishable";

/// Prefix of a viewer that is a signed-in user. The user's id follows.
const USER_PREFIX: &str = "user:";

/// Returns the viewer that the address names. `None` for the owner.
pub(super) fn viewer() -> Option<String> {
    address::parameter(PARAMETER).filter(|viewer| !viewer.is_empty())
}

/// Returns the viewer that the address names, and subscribes the component to changes.
pub(super) fn use_viewer() -> Option<String> {
    address::use_parameter(PARAMETER).filter(|viewer| !viewer.is_empty())
}

/// Shows the first page of the rows as a viewer. An empty name stands for the owner.
fn show_as(viewer: &str) {
    let viewer = Some(viewer.to_owned()).filter(|viewer| !viewer.is_empty());
    address::replace_parameters(&[
        (PARAMETER, viewer.into_iter().collect()),
        ("after", Vec::new()),
        ("offset", Vec::new()),
        ("row", Vec::new()),
        ("new", Vec::new()),
    ]);
}

/// Reads the user that a viewer stands for. Reads nothing for the owner and for visitors.
fn use_user(project: ReadSignal<String>, viewer: ReadSignal<String>) -> Remote<ProjectUserDetail> {
    let path = use_memo(move || match viewer.read().strip_prefix(USER_PREFIX) {
        Some(id) => format!("/projects/{project}/users/{}", String::from(js_sys::encode_uri_component(id))),
        None => String::new(),
    });
    use_remote(path.into())
}
