//! State that plugins keep between runs: its owners, conditions, quota, simultaneous changes, and backups.

use std::sync::Arc;

use atlashub::{config::PluginsConfig, jobs::RunFailure, plugins::runtime::HostLimits};
use plugin_manifest::{Manifest, Scope};
use serde_json::{Value, json};

use super::guests::{Platform, everything, result_of};
use crate::support::TestApp;

impl Platform {
    async fn state(&self, params: Value) -> Result<Value, String> {
        self.state_of("hostile", params).await
    }

    /// Runs the job `state` under the name of a plugin.
    async fn state_of(&self, plugin: &str, params: Value) -> Result<Value, String> {
        let mut guest = self.guest("state", params).await;
        let mut manifest = Manifest::clone(&guest.plugin.manifest);
        manifest.name = plugin.to_owned();
        guest.plugin.manifest = Arc::new(manifest);
        match guest.run().await {
            Ok(report) => Ok(report.result),
            Err(RunFailure::Failed { message, .. }) => Err(message),
            Err(failure) => panic!("{failure:?}"),
        }
    }

    async fn put_state(&self, store: &str, key: &str, value: &str, condition: Value) -> Result<u64, String> {
        let params = json!({ "act": "put", "store": store, "key": key, "value": value, "condition": condition });
        Ok(self.state(params).await?.as_u64().unwrap())
    }

    async fn get_state(&self, store: &str, key: &str) -> Value {
        let entry = self.state(json!({ "act": "get", "store": store, "key": key })).await.unwrap();
        entry["value"].clone()
    }
}

#[tokio::test]
async fn state_is_kept_per_plugin_and_project() {
    let platform = Platform::start().await;
    let own = platform.store();
    let always = json!(null);
    platform.put_state("platform", "k/ä", "of the platform", always.clone()).await.unwrap();
    platform.put_state(&own, "k/ä", "of the project", always.clone()).await.unwrap();
    assert_eq!(platform.get_state("platform", "k/ä").await, "of the platform");
    assert_eq!(platform.get_state(&own, "k/ä").await, "of the project");
    assert_eq!(platform.get_state(&own, "other").await, Value::Null);
    // Another plugin has its own state.
    let get = json!({ "act": "get", "store": own, "key": "k/ä" });
    assert_eq!(platform.state_of("another", get).await.unwrap(), Value::Null);
    let list = json!({ "act": "list", "store": own });
    assert_eq!(platform.state_of("another", list.clone()).await.unwrap()["keys"], json!([]));

    platform.put_state(&own, "k/b", "", always.clone()).await.unwrap();
    platform.put_state(&own, "z", "", always).await.unwrap();
    let prefix = json!({ "act": "list", "store": own, "key": "k/" });
    assert_eq!(platform.state(prefix).await.unwrap()["keys"], json!(["k/b", "k/ä"]));
    platform.state(json!({ "act": "delete", "store": own, "key": "k/b" })).await.unwrap();
    assert_eq!(platform.state(list).await.unwrap()["keys"], json!(["k/ä", "z"]));

    // The state is deleted with its project.
    let name = json!({ "confirm": platform.project.name });
    let (status, body) = platform.app.admin().delete_with(&platform.project.path(""), name).await;
    assert!(status.is_success(), "{status} {body}");
    let rows: Vec<(Option<String>, String)> = sqlx::query_as("SELECT project_id, key FROM plugin_state")
        .fetch_all(platform.app.app.platform())
        .await
        .unwrap();
    assert_eq!(rows, [(None, "k/ä".to_owned())]);
    let gone = platform.put_state(&own, "k", "", json!(null)).await.unwrap_err();
    assert!(gone.contains("project not found"), "{gone}");
}

#[tokio::test]
async fn changes_depend_on_conditions_and_on_the_lease() {
    let platform = Platform::start().await;
    let first = platform.put_state("platform", "k", "1", json!("absent")).await.unwrap();
    let exists = platform.put_state("platform", "k", "2", json!("absent")).await.unwrap_err();
    assert!(exists.contains("already exists"), "{exists}");
    let second = platform.put_state("platform", "k", "2", json!(first)).await.unwrap();
    assert!(second > first);
    let changed = platform.put_state("platform", "k", "3", json!(first)).await.unwrap_err();
    assert!(changed.contains("another version"), "{changed}");
    let delete = |version: u64| json!({ "act": "delete", "store": "platform", "key": "k", "condition": version });
    assert!(platform.state(delete(first)).await.unwrap_err().contains("another version"));
    platform.state(delete(second)).await.unwrap();
    assert!(platform.state(delete(second)).await.unwrap_err().contains("no longer exists"));
    // An entry that is created again has a version that the deleted one never had.
    let third = platform.put_state("platform", "k", "2", json!("absent")).await.unwrap();
    assert!(third > second);

    let put = json!({ "act": "put", "store": "platform", "key": "k", "value": "late" });
    for params in [put, delete(third)] {
        let mut guest = platform.guest("state", params).await;
        guest.call.lease = uuid::Uuid::new_v4();
        assert!(guest.failure().await.contains("no longer holds its lease"));
    }
    assert_eq!(platform.get_state("platform", "k").await, "2");
}

#[tokio::test]
async fn only_one_of_many_simultaneous_changes_wins() {
    let platform = Platform::start().await;
    let version = platform.put_state("platform", "k", "0", json!(null)).await.unwrap();
    let mut runs = tokio::task::JoinSet::new();
    for number in 0..8 {
        let params = json!({
            "act": "put", "store": "platform", "key": "k", "value": number.to_string(), "condition": version,
        });
        let guest = platform.guest("state", params).await;
        runs.spawn(async move { guest.run().await.is_ok() });
    }
    assert_eq!(runs.join_all().await.into_iter().filter(|is_ok| *is_ok).count(), 1);
}

#[tokio::test]
async fn calls_outside_the_grant_and_malformed_ones_are_refused() {
    let platform = Platform::start().await;
    let other = platform.app.create_project("other").await;
    let (own, foreign) = (platform.store(), format!("project:{}", other.id));
    let refused = async |databases: &[&str], act: &str, store: &str, key: &str| {
        let databases = databases.iter().map(|name| (*name).to_owned()).collect();
        let scope = Scope { databases, ..Scope::default() };
        let params = json!({ "act": act, "store": store, "key": key });
        platform.guest_with(HostLimits::default(), scope, "state", params).await.failure().await
    };
    for act in ["get", "put", "delete", "list"] {
        let message = refused(&[&own], act, &foreign, "k").await;
        assert!(message.contains(&format!("does not include the state of `{foreign}`")), "{act}: {message}");
        let message = refused(&[&own], act, "platform", "k").await;
        assert!(message.contains("does not include the state of `platform`"), "{act}: {message}");
        let message = refused(&["*"], act, "backups", "k").await;
        assert!(message.contains("unknown store"), "{act}: {message}");
        let message = refused(&["*"], act, "project:nothinghere", "k").await;
        assert!(message.contains("project not found"), "{act}: {message}");
    }
    for key in ["", "a\0b", "a\nb", &"k".repeat(257)] {
        for act in ["get", "put", "delete"] {
            let message = refused(&["*"], act, "platform", key).await;
            assert!(message.contains("1 to 256 bytes"), "{act}: {message}");
        }
    }
    assert!(refused(&["*"], "list", "platform", "a\0").await.contains("must not contain NUL"));
}

#[tokio::test]
async fn values_beyond_the_quota_are_refused() {
    let app = TestApp::builder().var("ATLASHUB_PLUGIN_STATE_KIB", "100").start().await;
    let platform = Platform::with(app).await;
    let fill = async |count: u64, key: &str, bytes: u64| {
        let params = json!({ "call": "put-state", "count": count, "name": "platform", "key": key, "bytes": bytes });
        let limits = HostLimits::from(&PluginsConfig::default());
        let outcomes = result_of(platform.guest_with(limits, everything(), "calls", params).await.run().await);
        let count_of = |name: &str| outcomes[name].as_u64().unwrap_or(0);
        assert_eq!(count_of("ok") + count_of("TooLarge"), count, "{outcomes}");
        count_of("ok")
    };
    let stored = async || {
        let (entries, bytes): (i64, i64) = sqlx::query_as(
            "SELECT count(*), coalesce(sum(octet_length(key) + octet_length(value)), 0)::bigint FROM plugin_state",
        )
        .fetch_one(platform.app.app.platform())
        .await
        .unwrap();
        (entries, bytes)
    };
    // A value can be at most 64 KiB.
    assert_eq!(fill(1, "large", (64 << 10) + 1).await, 0);
    assert_eq!(fill(10, "b", 10_000).await, 10);
    assert_eq!(fill(10, "c", 10_000).await, 0);
    assert!(stored().await.1 <= 100 << 10);
    // Replacing an entry with a value of the same size uses no more of the quota.
    assert_eq!(fill(1, "b", 10_000).await, 1);
    let delete = |number: u64| json!({ "act": "delete", "store": "platform", "key": format!("b{number}") });
    for number in 0..10 {
        platform.state(delete(number)).await.unwrap();
    }
    assert_eq!(stored().await, (0, 0));
    // A store has at most 1000 entries, even if they are empty.
    assert_eq!(fill(600, "x", 0).await + fill(600, "y", 0).await, 1000);
    let listed = platform.state(json!({ "act": "list", "store": "platform" })).await.unwrap();
    assert_eq!((listed["keys"].as_array().unwrap().len(), &listed["pages"]), (1000, &json!(1)));
    // The store of a project has its own quota.
    platform.put_state(&platform.store(), "k", "", json!(null)).await.unwrap();
}

#[tokio::test]
async fn backups_of_the_platform_contain_the_state() {
    let platform = Platform::start().await;
    platform.app.app.store().ensure_bucket(atlashub::object_store::PLATFORM_BUCKET).await.unwrap();
    platform.put_state("platform", "k", "kept", json!(null)).await.unwrap();
    let params = json!({ "database": "platform", "store": platform.store(), "key": "uploads/platform.dump" });
    let dumped = result_of(platform.guest("dump", params).await.run().await);
    assert_eq!(dumped["rows"]["public.plugin_state"], 1, "{dumped}");
}
