//! Settings that the owner stored for this plugin. Needs no grant.

use crate::backend;

/// Returns the value of a setting, or `None` if the owner has not set it.
pub fn get(name: &str) -> Option<String> {
    backend::config::get(name)
}
