//! Unsaved input of forms. It survives navigation, reloading and the end of a session, because it is in the tab's
//! session storage until the form is saved or cancelled.

use dioxus::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

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

/// Like [`use_draft`], for a struct whose fields are the fields of a form. Fields without unsaved input follow `saved`,
/// even while other fields have some: saving must not take back what another client has changed in the meantime.
pub fn use_struct_draft<T>(name: &str, saved: T) -> Signal<T>
where
    T: Serialize + DeserializeOwned + Clone + PartialEq + 'static,
{
    let key = use_hook(|| storage_key(name));
    let mut base = use_signal(|| saved.clone());
    let mut values = use_signal(|| {
        let changed = stored::<Value>(&key);
        changed.map_or_else(|| saved.clone(), |changed| with_fields(&saved, &changed))
    });
    if *base.peek() != saved {
        let followed = rebase(&*values.peek(), &*base.peek(), &saved);
        values.set(followed);
        base.set(saved);
    }
    use_effect(move || {
        let changed = changes_between(&*base.read(), &*values.read());
        match changed.and_then(|changed| serde_json::to_string(&changed).ok()) {
            Some(text) => store(&key, &text),
            None => remove(&key),
        }
    });
    values
}

/// Returns `saved` with those fields of `values` that differ from `base`.
pub fn rebase<T>(values: &T, base: &T, saved: &T) -> T
where
    T: Serialize + DeserializeOwned + Clone,
{
    changes_between(base, values).map_or_else(|| saved.clone(), |changed| with_fields(saved, &changed))
}

/// Returns the fields of `values` that differ from `base`, as JSON. `None` if there are none.
fn changes_between<T: Serialize>(base: &T, values: &T) -> Option<Value> {
    let (base, values) = (serde_json::to_value(base).ok()?, serde_json::to_value(values).ok()?);
    (base != values).then(|| changed_fields(&base, values))
}

/// Returns the members of `values` that differ from those of `base`. A member that is an object has only its own
/// members that differ.
fn changed_fields(base: &Value, values: Value) -> Value {
    match values {
        Value::Object(values) => {
            let changed = values.into_iter().filter(|(name, value)| base.get(name) != Some(value));
            let changed = changed.map(|(name, value)| {
                let value = changed_fields(base.get(&name).unwrap_or(&Value::Null), value);
                (name, value)
            });
            Value::Object(changed.collect())
        }
        values => values,
    }
}

/// Returns a struct with fields replaced by those of a JSON object. Returns `values` if the object does not fit.
fn with_fields<T: Serialize + DeserializeOwned + Clone>(values: &T, changed: &Value) -> T {
    let replaced = serde_json::to_value(values).and_then(|mut json| {
        replace_fields(&mut json, changed);
        serde_json::from_value(json)
    });
    replaced.unwrap_or_else(|_| values.clone())
}

fn replace_fields(values: &mut Value, changed: &Value) {
    match (values, changed) {
        (Value::Object(values), Value::Object(changed)) => {
            for (name, changed) in changed {
                replace_fields(values.entry(name.clone()).or_insert(Value::Null), changed);
            }
        }
        (values, changed) => *values = changed.clone(),
    }
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
    pub fn use_field<T>(self, field: &str, saved: T) -> Signal<T>
    where
        T: Serialize + DeserializeOwned + Clone + PartialEq + 'static,
    {
        use_draft(&self.use_name(field), saved)
    }

    /// Returns the values of several fields, see [`use_struct_draft`]. `fields` names them together.
    pub fn use_fields<T>(self, fields: &str, saved: T) -> Signal<T>
    where
        T: Serialize + DeserializeOwned + Clone + PartialEq + 'static,
    {
        use_struct_draft(&self.use_name(fields), saved)
    }

    fn use_name(mut self, field: &str) -> String {
        use_hook(|| {
            let name = format!("{}.{field}", self.name.read());
            self.fields.write().push(name.clone());
            name
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_without_input_follow_the_saved_values() {
        let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        let base = json(r#"{"open": true, "days": "30", "mail": {"subject": "Hello", "text": "x"}}"#);
        let typed = json(r#"{"open": true, "days": "7", "mail": {"subject": "Hello", "text": "y"}}"#);
        let saved = json(r#"{"open": false, "days": "60", "mail": {"subject": "Welcome", "text": "x"}}"#);
        let followed = json(r#"{"open": false, "days": "7", "mail": {"subject": "Welcome", "text": "y"}}"#);
        assert_eq!(rebase(&typed, &base, &saved), followed);
        assert_eq!(rebase(&base, &base, &saved), saved);
        assert_eq!(changes_between(&base, &typed), Some(json(r#"{"days": "7", "mail": {"text": "y"}}"#)));
        assert_eq!(changes_between(&base, &base), None, "nothing to store");
    }
}
