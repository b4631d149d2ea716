//! The selected objects of a list.

use std::collections::BTreeMap;

use api_types::StoredObject;
use dioxus::prelude::*;

/// Paths of the selected objects and their sizes.
pub(super) type Selection = Signal<BTreeMap<String, i64>>;

/// Whether none, some or all of the listed objects are selected. In an empty list, none are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selected {
    None,
    Some,
    All,
}

pub(super) fn selected_of(selection: &BTreeMap<String, i64>, objects: &[StoredObject]) -> Selected {
    let count = objects.iter().filter(|object| selection.contains_key(&object.path)).count();
    match count {
        0 => Selected::None,
        count if count == objects.len() => Selected::All,
        _ => Selected::Some,
    }
}

/// Adds an object to the selection, or removes it.
pub(super) fn select(mut selection: Selection, object: &StoredObject, selected: bool) {
    let mut selection = selection.write();
    if selected {
        selection.insert(object.path.clone(), object.size);
    } else {
        selection.remove(&object.path);
    }
}

/// Adds all objects of a page to the selection, or removes them.
pub(super) fn select_all(mut selection: Selection, objects: &[StoredObject], selected: bool) {
    let mut selection = selection.write();
    for object in objects {
        if selected {
            selection.insert(object.path.clone(), object.size);
        } else {
            selection.remove(&object.path);
        }
    }
}
