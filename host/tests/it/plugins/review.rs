//! Plugins with misleading texts or unusable schemas are rejected before the owner reviews them.

use serde_json::{Value, json};

use crate::support::plugin_files::{Author, PluginFolder, component, manifest, until_state};

#[tokio::test]
async fn misleading_texts_and_unusable_schemas_are_rejected_before_approval() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    let app = folder.app().await;
    author.trusted_by(&app).await;
    let with = |name: &str, pointer: &str, value: Value| {
        let mut manifest = manifest(name, 1);
        manifest["capabilities"] =
            json!([{"capability": "http", "reason": "To ask.", "scope": {"hosts": ["a.example"]}}]);
        *manifest.pointer_mut(pointer).unwrap() = value;
        folder.add_signed(name, &component(&manifest), &author);
    };
    let schema = |property: Value| json!({"type": "object", "properties": {"a": property}});
    for (name, pointer, value, expected) in [
        ("publisher", "/publisher", json!("Trusted\u{202e}"), "the publisher contains the character U+202E"),
        ("version", "/version", json!("1\u{2066}"), "the version contains the character U+2066"),
        ("description", "/description", json!("a\nb"), "the description contains the character U+000A"),
        ("job", "/jobs/0/description", json!("a\u{1b}[2J"), "the description of a job contains the character U+001B"),
        ("reason", "/capabilities/0/reason", json!("\u{200f}a"), "the reason of a capability contains"),
        ("host", "/capabilities/0/scope/hosts/0", json!("\u{430}.example"), "the scope of the capability `http`"),
        (
            "title",
            "/jobs/0/paramsSchema",
            schema(json!({"title": "\u{202d}"})),
            "the parameter schema of the job `run`",
        ),
        ("unknown", "/capabilities/0/capability", json!("a\u{202e}b"), r"unknown variant `a\u{202e}b`"),
        (
            "pattern",
            "/jobs/0/paramsSchema",
            schema(json!({"pattern": "("})),
            "the parameter schema of job `run` is invalid",
        ),
        (
            "look-ahead",
            "/jobs/0/paramsSchema",
            schema(json!({"pattern": "(?=a)"})),
            "the parameter schema of job `run`",
        ),
        (
            "large-pattern",
            "/jobs/0/paramsSchema",
            schema(json!({"pattern": "(a{1000}){1000}"})),
            "job `run` is invalid",
        ),
        ("keyword", "/jobs/0/paramsSchema", schema(json!({"minimum": "one"})), "the parameter schema of job `run`"),
        ("recursive", "/jobs/0/paramsSchema", schema(json!({"$ref": "#"})), "refers to itself"),
    ] {
        with(name, pointer, value);
        let plugin = until_state(&app.admin(), name, "rejected").await;
        let reason = plugin["reason"].as_str().unwrap();
        assert!(reason.contains(expected), "{name}: {reason}");
        assert!(!reason.chars().any(plugin_manifest::is_deceptive), "{name}: {reason:?}");
        let (status, refused) = app.admin().post(&format!("/admin/v1/plugins/{name}/approve"), json!({})).await;
        assert_eq!(status.as_u16(), 409, "{name}: {refused}");
    }
}
