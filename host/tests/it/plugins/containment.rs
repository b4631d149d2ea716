//! Plugins that make many calls at once or keep resources: the platform and other plugins keep working.

use std::{sync::Arc, time::Duration};

use atlashub::{config::PluginsConfig, jobs::RunFailure, plugins::runtime::HostLimits};
use plugin_manifest::Manifest;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::guests::{Platform, everything, result_of};
use crate::support::{TestApp, WebResponse, WebServer, eventually, guests::GuestRun};

fn host(change: impl FnOnce(&mut PluginsConfig)) -> HostLimits {
    let mut config = PluginsConfig::default();
    change(&mut config);
    HostLimits::from(&config)
}

/// Returns the guest's plugin under another name.
fn named(guest: &GuestRun, name: &str) -> atlashub::plugins::runtime::RunnablePlugin {
    let mut plugin = guest.plugin.clone();
    let mut manifest = Manifest::clone(&plugin.manifest);
    manifest.name = name.to_owned();
    plugin.manifest = Arc::new(manifest);
    plugin
}

/// Returns the number of outcomes that the job `calls` has counted.
fn total(outcomes: &Value) -> u64 {
    outcomes.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn platform_responds_while_plugins_make_calls_of_many_kinds() {
    let server = WebServer::start(|_| WebResponse::status(200)).await;
    let app = TestApp::builder()
        .var("ATLASHUB_HTTP_ALLOWED_HOSTS", &server.entry())
        .var("ATLASHUB_PLUGIN_CONNECTIONS", "2")
        .start()
        .await;
    let platform = Platform::with(app).await;
    platform.put("uploads/a", vec![1; 1000]).await;
    let store = platform.store();
    let kinds = [
        ("list-databases", "", ""),
        ("tables", store.as_str(), ""),
        ("put-bytes", &store, "uploads/many/"),
        ("get", &store, "uploads/a"),
        ("head", &store, "uploads/a"),
        ("list-objects", &store, "uploads/"),
        ("delete", &store, "uploads/none"),
        ("http", &server.url("/"), ""),
    ]
    .map(
        |(call, name, key)| json!({"call": call, "count": 200, "name": name, "key": key, "bytes": 10, "forever": true}),
    );
    let mut runs = Vec::new();
    for params in kinds {
        let guest = platform.guest("calls", params).await.limit(|limits| limits.host_call_mib = 256);
        let cancel = guest.cancel.clone();
        runs.push((cancel, tokio::spawn(async move { guest.run().await })));
    }
    for _ in 0..10 {
        let (status, body) = platform.app.public().get("/readyz").await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let (status, body) = platform.app.admin().get("/admin/v1/projects").await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let (status, body) = platform.app.admin().get(&platform.project.path("/buckets")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }
    let other = platform.guest("databases", json!({})).await;
    assert_eq!(result_of(other.run().await)[0], "platform");
    for (cancel, run) in runs {
        cancel.cancel();
        assert_eq!(run.await.unwrap(), Err(RunFailure::Cancelled));
    }
}

#[tokio::test]
async fn thousand_calls_at_once_end_with_an_outcome_each() {
    let platform = Platform::start().await;
    let check = async |call: &str, count: u64| {
        let params = json!({"call": call, "count": count, "name": platform.store(), "key": "uploads/none"});
        let outcomes = result_of(platform.guest("calls", params).await.run().await);
        assert_eq!(total(&outcomes), count, "{call}: {outcomes}");
        outcomes
    };
    assert_eq!(check("list-databases", 1000).await, json!({"ok": 1000}));
    assert_eq!(check("head", 300).await, json!({"NotFound": 300}));
    assert_eq!(check("config", 1000).await, json!({"ok": 1000}));
    let scope = plugin_manifest::Scope::default();
    let params = json!({"call": "tables", "count": 1000, "name": platform.store()});
    let outside = platform.guest_with(HostLimits::default(), scope, "calls", params).await;
    assert_eq!(result_of(outside.run().await), json!({"Denied": 1000}));
}

#[tokio::test]
async fn memory_held_for_calls_is_bounded_per_run() {
    let platform = Platform::start().await;
    // The bodies have 25 MiB together.
    let bodies = json!({
        "call": "put-bytes", "count": 100, "name": platform.store(), "key": "uploads/many/", "bytes": 256 << 10,
    });
    let limits = host(|config| config.call_memory_mib = 4);
    let guest = platform.guest_with(limits, everything(), "calls", bodies.clone()).await;
    let outcomes = result_of(guest.run().await);
    assert_eq!(total(&outcomes), 100);
    assert!(outcomes["ok"].as_u64().unwrap() >= 15, "{outcomes}");
    assert!(outcomes["TooLarge"].as_u64().unwrap() > 0, "{outcomes}");
    // The default limit is large enough for all of these calls.
    let guest = platform.guest("calls", bodies).await;
    assert_eq!(result_of(guest.run().await), json!({"ok": 100}));

    // Open uploads hold their parts in memory.
    let uploads = json!({
        "call": "put", "count": 3, "name": platform.store(), "key": "uploads/large/", "bytes": 20 << 20,
    });
    let limits = host(|config| config.call_memory_mib = 30);
    let guest = platform.guest_with(limits, everything(), "calls", uploads).await;
    let outcomes = result_of(guest.limit(|limits| limits.host_call_mib = 256).run().await);
    assert!(outcomes["TooLarge"].as_u64().unwrap() >= 1, "{outcomes}");
}

#[tokio::test]
async fn host_limit_applies_regardless_of_the_manifest() {
    let platform = Platform::start().await;
    let params =
        json!({"call": "put-bytes", "count": 8, "name": platform.store(), "key": "uploads/x", "bytes": 1 << 20});
    let limits = host(|config| config.per_run.host_call_mib = 4);
    let guest = platform.guest_with(limits, everything(), "calls", params).await;
    let failure = guest.limit(|limits| limits.host_call_mib = 4096).failure().await;
    assert!(failure.contains("its limit of 4 MiB for host calls"), "{failure}");
    assert_eq!(PluginsConfig::default().per_run.host_call_mib, 256);
}

#[tokio::test]
async fn concurrent_dumps_are_limited_and_backups_have_their_own_permits() {
    let platform = Platform::start().await;
    platform.fill().await;
    let limits = host(|config| config.total_dumps = 2);
    let params = json!({"call": "dump", "count": 4, "name": platform.store()});
    let guest = platform.guest_with(limits, everything(), "calls", params).await;
    let backup = named(&guest, "backup");
    let mut call = guest.call.clone();
    call.job = "dump".to_owned();
    call.params = json!({"database": platform.store(), "store": platform.store(), "key": "uploads/own.dump"});
    let own = async {
        // All runs of a plugin together can use only one of the two permits.
        platform.until_dumpers(1).await;
        let own = guest.runtime.run(&backup, call, guest.recorded.clone(), guest.cancel.child_token()).await;
        assert_eq!(result_of(own)["rows"]["public.large"], 200_000);
        platform.until_dumpers(1).await;
        guest.cancel.cancel();
    };
    let (first, second, ()) = tokio::join!(guest.run(), guest.run(), own);
    assert_eq!((first, second), (Err(RunFailure::Cancelled), Err(RunFailure::Cancelled)));
    platform.until_dumpers(0).await;
}

#[tokio::test]
async fn stream_that_is_not_read_is_closed() {
    let platform = Platform::start().await;
    platform.fill().await;
    platform.put("uploads/large", vec![1; 4 << 20]).await;
    let limits = host(|config| config.stream_idle = Duration::from_secs(1));
    for (of, key, pause) in [
        ("dump", "", json!(null)),
        ("dump", "", json!(20)),
        ("get", "uploads/large", json!(null)),
        ("get", "uploads/large", json!(20)),
    ] {
        let params = json!({"of": of, "name": platform.store(), "key": key, "count": 2, "pauseMs": pause});
        let guest = platform.guest_with(limits, everything(), "slow-read", params.clone()).await;
        let ends = result_of(guest.run().await);
        let ends = ends.as_array().unwrap();
        assert_eq!(ends.len(), 2);
        assert!(ends.iter().all(|end| end.as_str().unwrap().contains("not read for 1 s")), "{params}: {ends:?}");
        platform.until_dumpers(0).await;
    }
    let connections = async || {
        let role = format!("proj_{}_backup", platform.project.id);
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE usename = $1")
            .bind(role)
            .fetch_one(platform.app.app.platform())
            .await
            .unwrap();
        count
    };
    eventually("the connections of the dumps are closed", async || connections().await == 0).await;
}

#[tokio::test]
async fn objects_of_plugins_require_a_bucket_and_count_in_its_size() {
    let platform = Platform::start().await;
    let admin = platform.app.admin();
    let put = async |call: &str, key: &str, bytes: usize| {
        let params = json!({"call": call, "count": 1, "name": platform.store(), "key": key, "bytes": bytes});
        result_of(platform.guest("calls", params).await.run().await)
    };
    let bucket = async || admin.get(&platform.project.path("/buckets/uploads")).await.1;
    for call in ["put-bytes", "put"] {
        assert_eq!(put(call, "nowhere/x", 10).await, json!({"NotFound": 1}), "{call}");
    }
    assert_eq!(put("put-bytes", "uploads/small", 10).await, json!({"ok": 1}));
    assert_eq!(put("put", "uploads/streamed", 2 << 20).await, json!({"ok": 1}));
    let counted = bucket().await;
    assert_eq!((&counted["objectCount"], &counted["objectBytes"]), (&json!(2), &json!(10 + (2 << 20))));
    // No URL was signed, so no limit outlives the objects.
    let limited: i64 =
        sqlx::query_scalar("SELECT count(*) FROM file_metadata WHERE project_id = $1 AND expires_at > 'epoch'")
            .bind(&platform.project.id)
            .fetch_one(platform.app.app.platform())
            .await
            .unwrap();
    assert_eq!(limited, 0);

    // A replaced object counts once, and a deleted object no longer counts.
    assert_eq!(put("put-bytes", "uploads/small", 20).await, json!({"ok": 1}));
    assert_eq!(put("delete", "uploads/streamed0", 0).await, json!({"ok": 1}));
    let counted = bucket().await;
    assert_eq!((&counted["objectCount"], &counted["objectBytes"]), (&json!(1), &json!(20)));

    let path = platform.project.path("/buckets/uploads");
    let (status, changed) = admin.patch(&path, json!({"maxObjectBytes": 1000})).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    eventually("the new size is in force", async || {
        put("put-bytes", "uploads/big", 1001).await == json!({"TooLarge": 1})
    })
    .await;
    assert_eq!(put("put", "uploads/big", 1001).await, json!({"TooLarge": 1}));
    assert_eq!(put("put", "uploads/fits", 1000).await, json!({"ok": 1}));
}
