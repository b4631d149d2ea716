//! Unsaved input of forms. It survives navigation, reloading and the end of a session, because it is in the tab's
//! session storage until the form is saved or cancelled.

use dioxus::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

/// What happens to unsaved input when the page is loaded again.
pub const KEPT: &str = "What you typed is kept, except secrets and the body and header values of HTTP jobs.";

/// Returns the values of a form: its unsaved input if there is any, otherwise `saved`. `name` identifies the form among
/// all forms.
///
/// A form without unsaved input follows `saved` when it changes.
pub fn use_draft<T>(name: &str, saved: T) -> Signal<T>
where
    T: Serialize + DeserializeOwned + Clone + PartialEq + 'static,
{
    let key = use_hook(|| storage_key(name));
    let mut base = use_signal(|| saved.clone());
    let mut values = use_signal(|| stored(&key).unwrap_or_else(|| saved.clone()));
    if *base.peek() != saved {
        if *values.peek() == *base.peek() {
            values.set(saved.clone());
        }
        base.set(saved);
    }
    use_effect(move || {
        let values = values.read();
        match serde_json::to_string(&*values) {
            Ok(text) if *values != *base.read() => store(&key, &text),
            _ => remove(&key),
        }
    });
    values
}

/// The unsaved input of a form, with a draft for each field.
#[derive(Clone, Copy, PartialEq)]
pub struct FormDraft {
    /// Identifies the form among all forms.
    name: CopyValue<String>,
    /// Names of the fields' drafts.
    fields: CopyValue<Vec<String>>,
}

/// Returns the unsaved input of a form with several fields. `name` identifies the form among all forms.
pub fn use_form(name: impl FnOnce() -> String) -> FormDraft {
    use_hook(|| FormDraft { name: CopyValue::new(name()), fields: CopyValue::new(Vec::new()) })
}

impl FormDraft {
    /// Returns the value of a field, see [`use_draft`].
    pub fn use_field<T>(mut self, field: &str, saved: T) -> Signal<T>
    where
        T: Serialize + DeserializeOwned + Clone + PartialEq + 'static,
    {
        let name = use_hook(|| {
            let name = format!("{}.{field}", self.name.read());
            self.fields.write().push(name.clone());
            name
        });
        use_draft(&name, saved)
    }

    /// Removes the input of all fields, because the form was saved or cancelled.
    pub fn forget(self) {
        for name in self.fields.read().iter() {
            forget(name);
        }
    }
}

/// Stores the values that a form shows when it is opened next.
pub fn prepare<T: Serialize>(name: &str, values: &T) {
    if let Ok(text) = serde_json::to_string(values) {
        store(&storage_key(name), &text);
    }
}

/// Removes the unsaved input of a form, because it was saved or cancelled.
pub fn forget(name: &str) {
    remove(&storage_key(name));
}

fn storage_key(name: &str) -> String {
    format!("atlashub.form.{name}")
}

fn stored<T: DeserializeOwned>(key: &str) -> Option<T> {
    serde_json::from_str(&storage()?.get_item(key).ok().flatten()?).ok()
}

fn store(key: &str, text: &str) {
    if let Some(storage) = storage() {
        let _ = storage.set_item(key, text);
    }
}

fn remove(key: &str) {
    if let Some(storage) = storage() {
        let _ = storage.remove_item(key);
    }
}

fn storage() -> Option<web_sys::Storage> {
    web_sys::window()?.session_storage().ok().flatten()
}
