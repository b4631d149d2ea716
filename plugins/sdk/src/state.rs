//! Keeps small values between runs. A plugin has a store of its own for the platform and for each project.
//!
//! Requires the capability [`State`](crate::plugin::Capability::State). Its scope lists the stores: `platform`,
//! `project:<id>`, or `project:*` for all projects. A value can have at most 64 KiB. A store can have at most 1000
//! entries, and the platform limits its total size (1 MiB by default). Values are not encrypted, so they must not be
//! secrets.
//!
//! Two runs of a plugin may change the same entry. Use a [`Condition`] to detect changes of other runs:
//!
//! ```no_run
//! # use atlashub_plugin_sdk::{prelude::*, state::{self, Condition}};
//! # async fn example() -> Result<()> {
//! let entry = state::get("platform", "counter").await?;
//! let (count, condition) = match &entry {
//!     Some(entry) => (serde_json::from_slice(&entry.value)?, Condition::Version(entry.version)),
//!     None => (0_u64, Condition::Absent),
//! };
//! // Fails with `Conflict` if another run has changed the entry. The failed run can be retried.
//! state::put_if("platform", "counter", (count + 1).to_string(), condition).await?;
//! # Ok(())
//! # }
//! ```

use serde::{Serialize, de::DeserializeOwned};

pub use crate::bindings::atlashub::plugin::state::{Condition, Entry, KeyPage};
use crate::{Context as _, Result, backend};

/// Returns an entry, or `None` if it does not exist.
///
/// # Errors
/// Returns `Denied` if the grant does not cover the store, `NotFound` if the project does not exist, `Invalid` if the
/// store or key is malformed, and `Unavailable` if Postgres cannot be reached.
pub async fn get(store: &str, key: &str) -> Result<Option<Entry>> {
    backend::state::get(store, key).await
}

/// Returns the value of an entry that [`put_json`] stored, or `None` if the entry does not exist.
///
/// # Errors
/// Returns the errors of [`get`], and `Failed` if the value can't be deserialized as `T`.
pub async fn get_json<T: DeserializeOwned>(store: &str, key: &str) -> Result<Option<T>> {
    let Some(entry) = get(store, key).await? else { return Ok(None) };
    serde_json::from_slice(&entry.value).context(format!("reading the state `{key}`")).map(Some)
}

/// Stores a value and returns the new version of the entry.
///
/// # Errors
/// Returns the errors of [`get`], `TooLarge` if the value is larger than 64 KiB or the store would exceed its quota,
/// and `Conflict` if the run no longer holds its lease.
pub async fn put(store: &str, key: &str, value: impl Into<Vec<u8>>) -> Result<u64> {
    put_if(store, key, value, Condition::Always).await
}

/// Stores a value as JSON and returns the new version of the entry.
///
/// # Errors
/// Returns the errors of [`put`], and `Failed` if the value can't be serialized.
pub async fn put_json(store: &str, key: &str, value: &impl Serialize) -> Result<u64> {
    put(store, key, serde_json::to_vec(value)?).await
}

/// Stores a value if the condition holds, and returns the new version of the entry.
///
/// # Errors
/// Returns the errors of [`put`], and `Conflict` if the condition does not hold.
pub async fn put_if(store: &str, key: &str, value: impl Into<Vec<u8>>, condition: Condition) -> Result<u64> {
    backend::state::put(store, key, value.into(), condition).await
}

/// Deletes an entry. Succeeds if it does not exist.
///
/// # Errors
/// Returns the errors of [`get`], and `Conflict` if the run no longer holds its lease.
pub async fn delete(store: &str, key: &str) -> Result<()> {
    delete_if(store, key, Condition::Always).await
}

/// Deletes an entry if the condition holds.
///
/// # Errors
/// Returns the errors of [`delete`], and `Conflict` if the condition does not hold.
pub async fn delete_if(store: &str, key: &str, condition: Condition) -> Result<()> {
    backend::state::delete(store, key, condition).await
}

/// Lists up to 1000 keys that start with `prefix`, in byte order.
///
/// Without a cursor, the first page is returned. For the next page, pass the cursor of the previous page.
///
/// # Errors
/// Returns the errors of [`get`].
pub async fn list(store: &str, prefix: &str, cursor: Option<String>) -> Result<KeyPage> {
    backend::state::list(store, prefix, cursor).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{prelude::*, testing::TestHost};

    #[derive(Deserialize, JsonSchema)]
    struct NoParams {}

    async fn count(_run: Run, _params: NoParams) -> Result<u64> {
        let entry = get("platform", "count").await?;
        let (count, condition) = match &entry {
            Some(entry) => (serde_json::from_slice::<u64>(&entry.value)? + 1, Condition::Version(entry.version)),
            None => (1, Condition::Absent),
        };
        put_if("platform", "count", count.to_string(), condition).await?;
        assert_eq!(get_json::<u64>("platform", "count").await?, Some(count));
        assert_eq!(list("platform", "c", None).await?.keys, ["count"]);
        assert!(get("project:a", "count").await?.is_none());
        Ok(count)
    }

    async fn race(_run: Run, _params: NoParams) -> Result<()> {
        let version = put("platform", "x", "1").await?;
        put("platform", "x", "2").await?;
        delete_if("platform", "x", Condition::Version(version)).await
    }

    fn host() -> TestHost {
        let plugin = Plugin::new("counter", "1.0.0", 1)
            .job("count", "Counts.", count)
            .job("race", "Deletes what has changed.", race)
            .capability(Capability::State, "To count.", Scope::default());
        TestHost::new(plugin)
    }

    #[test]
    fn state_is_kept_between_runs() {
        let host = host().state("platform", "count", b"41");
        assert_eq!(host.run("count", json!({})).unwrap(), json!(42));
        assert_eq!(host.run("count", json!({})).unwrap(), json!(43));
        assert_eq!(host.state_value("platform", "count").unwrap(), b"43");
        assert_eq!(self::host().run("count", json!({})).unwrap(), json!(1));
    }

    #[test]
    fn condition_that_does_not_hold_is_a_conflict() {
        let host = host();
        assert_eq!(host.run("race", json!({})).unwrap_err().code, ErrorCode::Conflict);
        assert_eq!(host.state_value("platform", "x").unwrap(), b"2");
    }
}
