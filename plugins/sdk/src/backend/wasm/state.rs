//! Calls the host's interface `state`.

use super::{from_wit, host};
use crate::{
    Result,
    state::{Condition, Entry, KeyPage},
};

pub(crate) async fn get(store: &str, key: &str) -> Result<Option<Entry>> {
    host::state::get(store.to_owned(), key.to_owned()).await.map_err(from_wit)
}

pub(crate) async fn put(store: &str, key: &str, value: Vec<u8>, condition: Condition) -> Result<u64> {
    host::state::put(store.to_owned(), key.to_owned(), value, condition).await.map_err(from_wit)
}

pub(crate) async fn delete(store: &str, key: &str, condition: Condition) -> Result<()> {
    host::state::delete(store.to_owned(), key.to_owned(), condition).await.map_err(from_wit)
}

pub(crate) async fn list(store: &str, prefix: &str, cursor: Option<String>) -> Result<KeyPage> {
    host::state::list(store.to_owned(), prefix.to_owned(), cursor).await.map_err(from_wit)
}
