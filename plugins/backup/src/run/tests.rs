//! Tests of the jobs `backup` and `prune`.

use atlashub_plugin_sdk::testing::TestHost;
use serde_json::Value;

use super::*;

const DAY: u64 = 24 * 3600 * 1000;
const NOW: u64 = 1_767_323_045_000;

fn host() -> TestHost {
    TestHost::new(crate::plugin())
        .time(NOW)
        .database("platform", None, b"platform archive", &[("projects", 2)])
        .database("project:a", Some("Shop"), b"shop archive", &[("items", 10), ("orders", 32)])
        .database("project:b", Some("Blog"), b"blog archive", &[])
}

#[test]
fn backup_stores_dump_and_manifest_and_catalogue_entry() {
    let host = host();
    let result = host.run("backup", json!({"target": "project:a"})).unwrap();
    let key = "backups/project/a/20260102T030405Z-01890000-0000-7000-8000-000000000001.dump";
    assert_eq!(result["backups"][0]["objectKey"], key);
    assert_eq!(result["backups"][0]["rows"], 42);
    assert_eq!(host.object_bytes("backups", key).unwrap(), b"shop archive");
    let manifest = host.object_bytes("backups", &key.replace(".dump", ".json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["format"], "atlashub-backup/1");
    assert_eq!(manifest["target"], "project:a");
    assert_eq!(manifest["title"], "Shop");
    assert_eq!(manifest["createdAt"], "2026-01-02T03:04:05.000Z");
    assert_eq!(manifest["masterKeyId"], "test-key");
    assert_eq!(manifest["sizeBytes"], 12);
    assert_eq!(manifest["tables"][1], json!({"schema": "public", "table": "orders", "rows": 32}));
    let recorded = &host.backups()[0];
    assert_eq!((recorded.target.as_str(), recorded.created_at), ("project:a", NOW));
    assert_eq!(recorded.manifest_key, key.replace(".dump", ".json"));
    assert_eq!(recorded.sha256, manifest["sha256"].as_str().unwrap());
}

#[test]
fn tables_of_end_user_login_are_dumped_but_not_counted() {
    let tables = [("items", 10), ("auth.users", 4), ("auth.sessions", 9)];
    let host = TestHost::new(crate::plugin()).time(NOW).database("project:a", None, b"archive", &tables);
    let result = host.run("backup", json!({"target": "project:a"})).unwrap();
    let backup = &result["backups"][0];
    assert_eq!((&backup["tables"], &backup["rows"]), (&json!(1), &json!(10)));
    let key = backup["objectKey"].as_str().unwrap().replace(".dump", ".json");
    let manifest: Value = serde_json::from_slice(&host.object_bytes("backups", &key).unwrap()).unwrap();
    assert_eq!(manifest["tables"][1], json!({"schema": "auth", "table": "users", "rows": 4}));
}

#[test]
fn objects_of_projects_are_part_of_the_backup_if_requested() {
    let host = host().object("project:a", "uploads/x", b"12345");
    let result = host.run("backup", json!({"target": "all", "objects": true})).unwrap();
    let backups = result["backups"].as_array().unwrap();
    assert_eq!((&backups[0]["target"], &backups[0]["objects"]), (&json!("platform"), &Value::Null));
    let expected = json!({"count": 1, "sizeBytes": 5, "copied": 1, "copiedBytes": 5});
    assert_eq!(backups[1]["objects"], expected);
    let manifest = |backup: &Value| -> Value {
        let key = backup["objectKey"].as_str().unwrap().replace(".dump", ".json");
        serde_json::from_slice(&host.object_bytes("backups", &key).unwrap()).unwrap()
    };
    assert!(manifest(&backups[0]).get("objects").is_none());
    assert_eq!(manifest(&backups[1])["objects"], json!({"count": 1, "sizeBytes": 5, "sha256": "0".repeat(64)}));
    let error = host.run("backup", json!({"target": "platform", "objects": true})).unwrap_err();
    assert_eq!(error.code, ErrorCode::Invalid);
}

#[test]
fn backup_whose_objects_or_catalogue_entry_fail_leaves_nothing() {
    for (call, argument) in [("backups.copy_objects", "project:a"), ("backups.record", "project:a")] {
        let host = host().fail_next(call, argument, Error::unavailable("gone"));
        assert!(host.run("backup", json!({"target": "project:a", "objects": true})).is_err(), "{call}");
        assert!(host.object_keys("backups").is_empty(), "{call}: {:?}", host.object_keys("backups"));
    }
}

#[test]
fn failed_dump_leaves_nothing() {
    let host = host().fail_next("databases.dump.outcome", "project:a", Error::unavailable("pg_dump was killed"));
    let error = host.run("backup", json!({"target": "project:a"})).unwrap_err();
    assert_eq!(error.message, "pg_dump was killed");
    assert!(error.is_transient());
    assert!(host.object_keys("backups").is_empty() && host.backups().is_empty());
}

#[test]
fn backup_that_cannot_be_recorded_leaves_nothing() {
    for (call, argument) in [("objects.put-bytes", "backups"), ("backups.record", "platform")] {
        let host = host().fail_next(call, argument, Error::unavailable("gone"));
        assert!(host.run("backup", json!({"target": "platform"})).is_err(), "{call}");
        assert!(host.object_keys("backups").is_empty(), "{call}");
    }
}

#[test]
fn failing_database_fails_run_after_backing_up_the_others() {
    let host = host().fail_next("databases.dump", "project:a", Error::unavailable("no connection"));
    let error = host.run("backup", json!({"target": "all"})).unwrap_err();
    assert!(error.message.contains("1 of 3") && error.message.contains("project:a"), "{}", error.message);
    assert!(error.is_transient());
    let details = error.details.unwrap();
    assert_eq!(details["backups"].as_array().unwrap().len(), 2);
    assert_eq!(details["failed"][0]["target"], "project:a");
    assert_eq!(host.backups().len(), 2);
    assert_eq!(host.object_keys("backups").len(), 4);
    let progress = host.progress();
    assert_eq!((progress[1].message.as_str(), progress.last().unwrap().done), ("Backing up Shop", 3));
}

#[test]
fn run_is_retried_if_any_failed_database_can_be_backed_up_later() {
    let host = host().fail_next("databases.dump", "platform", Error::not_found("the database was removed")).fail_next(
        "databases.dump",
        "project:a",
        Error::failed("pg_dump failed"),
    );
    let error = host.run("backup", json!({"target": "all"})).unwrap_err();
    assert_eq!(error.code, ErrorCode::Failed, "{error}");
    assert!(error.message.contains("2 of 3"), "{}", error.message);
}

#[test]
fn unknown_database_is_not_found() {
    let error = host().run("backup", json!({"target": "project:x"})).unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
}

#[test]
fn retention_applies_only_to_target_of_backup() {
    let host = host().backup("old-1", "platform", NOW - DAY).backup("old-2", "platform", NOW - 2 * DAY).backup(
        "other",
        "project:a",
        NOW - 50 * DAY,
    );
    let params = json!({"target": "platform", "retention": {"keepLast": 2}});
    assert_eq!(host.run("backup", params).unwrap()["removed"], 1);
    let left: Vec<String> = host.backups().into_iter().map(|backup| backup.id).collect();
    assert!(left.contains(&"old-1".to_owned()) && left.contains(&"other".to_owned()));
    assert!(!left.contains(&"old-2".to_owned()));
    assert!(!host.object_keys("backups").contains(&"backups/old-2.dump".to_owned()));
}

#[test]
fn error_of_retention_says_that_the_backup_was_made() {
    let host = host().backup("old", "platform", NOW - DAY).fail_next(
        "backups.remove",
        "old",
        Error::unavailable("the store cannot be reached"),
    );
    let params = json!({"target": "platform", "retention": {"keepLast": 1}});
    let error = host.run("backup", params).unwrap_err();
    assert!(error.message.starts_with("the backup was made, but"), "{}", error.message);
    assert!(error.message.ends_with("removing backups/old.dump: the store cannot be reached"), "{}", error.message);
    assert!(error.is_transient());
    let details = error.details.unwrap();
    assert_eq!((&details["backups"][0]["target"], &details["removed"]), (&json!("platform"), &json!(0)));
    assert_eq!(host.backups().len(), 2);
}

#[test]
fn failed_backup_removes_no_old_backups() {
    let host = host().backup("old-1", "platform", NOW - DAY).backup("old-2", "platform", NOW - 2 * DAY).fail_next(
        "databases.dump",
        "platform",
        Error::failed("no"),
    );
    host.run("backup", json!({"target": "platform", "retention": {"keepLast": 1}})).unwrap_err();
    assert_eq!(host.backups().len(), 2);
}

#[test]
fn prune_applies_retention_to_each_target_separately() {
    let host = host()
        .backup("a-1", "project:a", NOW - DAY)
        .backup("a-2", "project:a", NOW - 2 * DAY)
        .backup("gone-1", "project:gone", NOW - 90 * DAY)
        .backup("gone-2", "project:gone", NOW - 91 * DAY);
    let pruned = host.run("prune", json!({"target": "all", "retention": {"keepLast": 1}})).unwrap();
    assert_eq!(pruned, json!({"kept": 2, "removed": 2}));
    let left: Vec<String> = host.backups().into_iter().map(|backup| backup.id).collect();
    assert_eq!(left, ["a-1", "gone-1"]);
}

#[test]
fn backup_that_was_removed_in_the_meantime_does_not_count_as_removed() {
    let host = host()
        .backup("new", "project:a", NOW - DAY)
        .backup("old-1", "project:a", NOW - 2 * DAY)
        .backup("old-2", "project:a", NOW - 3 * DAY)
        .fail_next("backups.remove", "old-1", Error::not_found("no such backup"));
    let pruned = host.run("prune", json!({"target": "project:a", "retention": {"keepLast": 1}})).unwrap();
    assert_eq!(pruned, json!({"kept": 1, "removed": 1}));
}

#[test]
fn empty_retention_is_rejected_before_backup() {
    let host = host();
    let error = host.run("backup", json!({"target": "platform", "retention": {}})).unwrap_err();
    assert_eq!(error.code, ErrorCode::Invalid);
    assert!(host.backups().is_empty());
}
