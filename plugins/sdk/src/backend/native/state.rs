//! The capability `state` of the simulated host.

use super::host_state::{State, call};
use crate::{
    Error, ErrorCode, Result,
    plugin::Capability,
    state::{Condition, Entry, KeyPage},
};

/// Maximum number of keys in a page.
const MAX_PAGE: usize = 1000;

pub(crate) async fn get(store: &str, key: &str) -> Result<Option<Entry>> {
    call(Capability::State, "state.get", store, |state| Ok(state.plugin_state.get(&id(store, key)).cloned()))
}

pub(crate) async fn put(store: &str, key: &str, value: Vec<u8>, condition: Condition) -> Result<u64> {
    call(Capability::State, "state.put", store, |state| {
        check(state, store, key, condition)?;
        Ok(state.put_plugin_state(store, key, value))
    })
}

pub(crate) async fn delete(store: &str, key: &str, condition: Condition) -> Result<()> {
    call(Capability::State, "state.delete", store, |state| {
        check(state, store, key, condition)?;
        state.plugin_state.remove(&id(store, key));
        Ok(())
    })
}

pub(crate) async fn list(store: &str, prefix: &str, cursor: Option<String>) -> Result<KeyPage> {
    call(Capability::State, "state.list", store, |state| {
        let mut keys: Vec<String> = state
            .plugin_state
            .keys()
            .filter(|(of_store, key)| {
                of_store == store && key.starts_with(prefix) && cursor.as_ref().is_none_or(|after| key > after)
            })
            .map(|(_, key)| key.clone())
            .take(MAX_PAGE + 1)
            .collect();
        let has_more = keys.len() > MAX_PAGE;
        keys.truncate(MAX_PAGE);
        let cursor = if has_more { keys.last().cloned() } else { None };
        Ok(KeyPage { keys, cursor })
    })
}

fn id(store: &str, key: &str) -> (String, String) {
    (store.to_owned(), key.to_owned())
}

fn check(state: &State, store: &str, key: &str, condition: Condition) -> Result<()> {
    let version = state.plugin_state.get(&id(store, key)).map(|entry| entry.version);
    let holds = match condition {
        Condition::Always => true,
        Condition::Absent => version.is_none(),
        Condition::Version(expected) => version == Some(expected),
    };
    if holds { Ok(()) } else { Err(Error::new(ErrorCode::Conflict, format!("the entry `{key}` has changed"))) }
}

impl State {
    /// Stores a value and returns its version.
    pub(crate) fn put_plugin_state(&mut self, store: &str, key: &str, value: Vec<u8>) -> u64 {
        self.state_version += 1;
        let version = self.state_version;
        self.plugin_state.insert(id(store, key), Entry { value, version });
        version
    }
}
