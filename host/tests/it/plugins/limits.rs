//! Limits that the owner configures for plugins, regardless of what their manifests request.

use atlashub::jobs::RunFailure;
use serde_json::{Value, json};

use crate::support::{
    TestApp,
    plugin_files::{Author, PluginFolder, approve, component, endless, manifest, run, until_state, with_body},
};

fn with_limits(name: &str, limits: Value) -> Value {
    let mut manifest = manifest(name, 1);
    manifest["limits"] = limits;
    manifest
}

#[tokio::test]
async fn configured_limits_cap_the_manifests_limits() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    let app = TestApp::builder()
        .var("ATLASHUB_PLUGIN_DIR", folder.path().to_str().unwrap())
        .var("ATLASHUB_PLUGIN_MAX_MEMORY_MIB", "3")
        .var("ATLASHUB_PLUGIN_MAX_WALL_SECONDS", "1")
        .start()
        .await;
    author.trusted_by(&app).await;
    let bomb = "(loop (drop (memory.grow (i32.const 1))) (br 0))";
    folder.add_signed("greedy", &with_body(&with_limits("greedy", json!({ "memoryMib": 64 })), bomb), &author);
    folder.add_signed("modest", &with_body(&with_limits("modest", json!({ "memoryMib": 2 })), bomb), &author);
    let slow = with_limits("slow", json!({ "wallSeconds": 3600, "cpuSeconds": 3600 }));
    folder.add_signed("slow", &endless(&slow), &author);
    folder.add_signed("good", &component(&manifest("good", 1)), &author);
    for name in ["greedy", "modest", "slow", "good"] {
        until_state(&app.admin(), name, "pending").await;
        approve(&app, name, json!({})).await;
    }
    let check = async |name: &str, mib: u32| match run(&app, name).await {
        Err(RunFailure::Failed { message, .. }) => {
            assert_eq!(message, format!("Stopped: the run exceeded its memory limit of {mib} MiB."), "{name}");
        }
        outcome => panic!("{name}: {outcome:?}"),
    };
    check("greedy", 3).await;
    // A lower limit in the manifest applies.
    check("modest", 2).await;
    assert_eq!(run(&app, "slow").await, Err(RunFailure::TimedOut));
    assert!(run(&app, "good").await.is_ok());
}
