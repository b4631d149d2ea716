//! Queries of plugins: they read only granted databases, change nothing, and leave no connection open.

use std::{sync::Arc, time::Duration};

use atlashub::{
    config::PluginsConfig,
    jobs::RunFailure,
    plugins::{guest::Grants, runtime::HostLimits},
};
use plugin_manifest::{Capability, Scope};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::guests::{Platform, everything, result_of};
use crate::support::eventually;

const ITEMS: &str = "CREATE TABLE items (id bigint PRIMARY KEY, name text, price numeric(10,2), made timestamptz,
        raw bytea, tags text[], body json);
    ALTER TABLE items ENABLE ROW LEVEL SECURITY;
    INSERT INTO items VALUES
        (9007199254740993, 'a', 1.10, '2026-01-02 03:04:05Z', '\\x00ff', '{x,y}', E'{\"a\":\\n1e2}'),
        (2, 'b''; DROP TABLE items; --', null, null, null, null, null)";

fn limits(change: impl FnOnce(&mut PluginsConfig)) -> HostLimits {
    let mut config = PluginsConfig::default();
    change(&mut config);
    HostLimits::from(&config)
}

impl Platform {
    async fn query(&self, sql: &str, parameters: Value) -> Result<Value, String> {
        self.query_with(json!({ "database": self.store(), "sql": sql, "parameters": parameters })).await
    }

    async fn query_with(&self, params: Value) -> Result<Value, String> {
        match self.guest("query", params).await.run().await {
            Ok(report) => Ok(report.result),
            Err(RunFailure::Failed { message, .. }) => Err(message),
            Err(failure) => panic!("{failure:?}"),
        }
    }

    /// Fails unless the query is refused with a message that contains `expected`.
    async fn check_refused(&self, sql: &str, expected: &str) {
        match self.query(sql, json!([])).await {
            Err(message) => assert!(message.contains(expected), "{sql}: {message}"),
            Ok(result) => panic!("{sql}: {result}"),
        }
    }

    /// Counts the connections of the role for queries.
    async fn count_queries(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE usename = $1")
            .bind(format!("proj_{}_query", self.project.id))
            .fetch_one(self.app.app.platform())
            .await
            .unwrap()
    }

    async fn until_no_query_runs(&self) {
        eventually("no query runs", async || self.count_queries().await == 0).await;
    }

    async fn count_items(&self) -> Value {
        self.query("SELECT count(*) AS n FROM items", json!([])).await.unwrap()["rows"][0]["n"].clone()
    }
}

#[tokio::test]
async fn rows_are_exact_and_parameters_are_bound() {
    let platform = Platform::start().await;
    platform.project.sql(ITEMS).await;
    let sql = "SELECT *, current_user AS role FROM items WHERE id > $1 AND name = ANY($2) -- a comment";
    let result = platform.query(sql, json!(["2", "{a,c}"])).await.unwrap();
    let columns = json!([
        ["id", "bigint"],
        ["name", "text"],
        ["price", "numeric(10,2)"],
        ["made", "timestamp with time zone"],
        ["raw", "bytea"],
        ["tags", "text[]"],
        ["body", "json"],
        ["role", "name"],
    ]);
    assert_eq!(result["columns"], columns);
    let row = json!({
        "id": 9_007_199_254_740_993_i64, "name": "a", "price": 1.10, "made": "2026-01-02T03:04:05+00:00",
        "raw": "\\x00ff", "tags": ["x", "y"], "body": {"a": 100.0},
        "role": format!("proj_{}_query", platform.project.id),
    });
    assert_eq!(result["rows"], json!([row]));

    // A parameter's value is never part of the query's text.
    let named = "SELECT id FROM items WHERE name = $1;\n";
    let result = platform.query(named, json!(["b'; DROP TABLE items; --"])).await.unwrap();
    assert_eq!(result["rows"], json!([{ "id": 2 }]));
    let null = platform.query("SELECT $1::int IS NULL AS is_null", json!([null])).await.unwrap();
    assert_eq!(null["rows"], json!([{ "is_null": true }]));
    let ordered = platform.query("SELECT i FROM generate_series(1, 3000) i ORDER BY i DESC", json!([])).await.unwrap();
    let rows = ordered["rows"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["i"], &rows[2999]["i"]), (3000, &json!(3000), &json!(1)));
    // A column may have the name that the host gives the row.
    let result = platform.query("SELECT 1 AS atlashub_row, 2 AS b", json!([])).await.unwrap();
    assert_eq!(result["rows"], json!([{ "atlashub_row": 1, "b": 2 }]));
    assert_eq!(platform.query("VALUES (1, 'x')", json!([])).await.unwrap()["rows"][0]["column2"], "x");
    platform.until_no_query_runs().await;
}

#[tokio::test]
async fn query_changes_nothing() {
    let platform = Platform::start().await;
    platform.project.sql(ITEMS).await;
    platform
        .project
        .sql(
            "CREATE SEQUENCE numbers;
             CREATE FUNCTION wipe() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$
                 BEGIN PERFORM set_config('transaction_read_only', 'off', true); DELETE FROM items; RETURN 1; END $$;
             CREATE FUNCTION wipe_quietly() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$
                 BEGIN DELETE FROM items; RETURN 1; END $$",
        )
        .await;
    for (sql, expected) in [
        ("SELECT wipe()", "read-write mode"),
        ("SELECT wipe_quietly()", "read-only transaction"),
        ("SELECT nextval('numbers')", "permission denied"),
        ("SELECT * FROM items FOR UPDATE", "read-only transaction"),
        ("DELETE FROM items RETURNING id", "only a single query"),
        ("WITH gone AS (DELETE FROM items RETURNING id) SELECT * FROM gone", "only a single query"),
        ("INSERT INTO items (id) VALUES (3)", "only a single query"),
        ("SELECT 1 AS a INTO TEMPORARY t", "only a single query"),
        ("CREATE TABLE t (id int)", "only a single query"),
        ("COMMIT", "only a single query"),
        ("SHOW transaction_read_only", "only a single query"),
        ("COPY items TO PROGRAM 'true'", "only a single query"),
        ("SELECT 1; DELETE FROM items", "multiple commands"),
        ("SELECT 1) AS a; DELETE FROM items; --", "syntax error"),
        ("SELECT 1) AS a, (SELECT 2", "syntax error"),
        ("SELECT pg_read_file('/etc/passwd')", "permission denied"),
        ("SELECT lo_import('/etc/passwd')", "permission denied"),
        ("SELECT pg_terminate_backend(1)", ""),
    ] {
        match platform.query(sql, json!([])).await {
            Err(message) => assert!(message.contains(expected), "{sql}: {message}"),
            // Terminates nothing, because process 1 is not a Postgres session.
            Ok(result) => assert!(expected.is_empty(), "{sql}: {result}"),
        }
    }
    assert_eq!(platform.count_items().await, json!(2));
}

#[tokio::test]
async fn statements_that_the_server_uses_itself_can_be_queried() {
    let platform = Platform::start().await;
    for (setting, value) in [("request.jwt.claims", "{}"), ("lock_timeout", "20ms")] {
        let sql = format!("SELECT 1 WHERE pg_catalog.set_config('{setting}', $1, true) IS NULL");
        let result = platform.query(&sql, json!([value])).await.unwrap();
        assert_eq!(result["rows"], json!([]));
    }
    let result = platform.query("SELECT 1 AS end_of_shared_transaction", json!([])).await.unwrap();
    assert_eq!(result["rows"], json!([{ "end_of_shared_transaction": 1 }]));
}

#[tokio::test]
async fn invalid_queries_return_the_reason() {
    let platform = Platform::start().await;
    platform.project.sql(ITEMS).await;
    for (sql, expected) in [
        ("SELECT nothing FROM items", "column \"nothing\" does not exist (at character 8)"),
        ("SELECT id, id FROM items", "two columns named `id`"),
        ("SELECT $1", "has 1 parameter, but the request has 0 values"),
        ("", "only a single query"),
        ("SELECT 1/0 AS x", "division by zero"),
        ("SELECT repeat('x', 2000000) AS x", "larger than 1024 KiB"),
    ] {
        platform.check_refused(sql, expected).await;
    }
    // This query fails after many rows have been read.
    platform.check_refused("SELECT 1 / (i - 90000) AS x FROM generate_series(1, 90000) i", "division by zero").await;
    let invalid = platform.query("SELECT id FROM items WHERE id = $1", json!(["x"])).await.unwrap_err();
    assert!(invalid.contains("invalid input syntax for type bigint"), "{invalid}");
    platform.check_refused(&format!("SELECT '{}' AS x", "x".repeat(200_000)), "at most 128 KiB").await;
    platform.until_no_query_runs().await;
}

#[tokio::test]
async fn only_granted_databases_and_open_tables_are_read() {
    let platform = Platform::start().await;
    let other = platform.app.create_project("other").await;
    platform.project.sql(ITEMS).await;
    let refused = async |databases: &[&str], database: &str| {
        let databases = databases.iter().map(|name| (*name).to_owned()).collect();
        let scope = Scope { databases, ..Scope::default() };
        let params = json!({ "database": database, "sql": "SELECT 1 AS a" });
        platform.guest_with(HostLimits::default(), scope, "query", params).await.failure().await
    };
    let (own, foreign) = (platform.store(), format!("project:{}", other.id));
    let denied = format!("does not include database `{foreign}`");
    assert!(refused(&[&own], &foreign).await.contains(&denied));
    assert!(refused(&[], &own).await.contains("does not include database"));
    assert!(refused(&[&own], "platform").await.contains("does not include database `platform`"));
    assert!(refused(&["*"], "platform").await.contains("the platform database can't be queried"));
    assert!(refused(&["*"], "postgres").await.contains("is not a database name"));
    assert!(refused(&["*"], "project:nothinghere").await.contains("project not found"));
    // A grant for dumps does not allow queries, because each capability has its own scope.
    let mut guest = platform.guest("query", json!({ "database": own, "sql": "SELECT 1 AS a" })).await;
    let mut grants = Grants::clone(&guest.plugin.grants);
    grants.scopes.insert(Capability::Query, Scope::default());
    guest.plugin.grants = Arc::new(grants);
    assert!(guest.failure().await.contains("does not include database"));

    // Tables that are created later can be read. A table whose privileges the owner revoked and schema `auth` can't.
    assert_eq!(platform.count_items().await, json!(2));
    let sql = format!(
        "CREATE TABLE later AS SELECT 1 AS a; CREATE TABLE closed AS SELECT 1 AS a;
         REVOKE ALL ON closed FROM proj_{}_query",
        platform.project.id
    );
    platform.project.sql(&sql).await;
    assert_eq!(platform.query("TABLE later", json!([])).await.unwrap()["rows"], json!([{ "a": 1 }]));
    platform.check_refused("TABLE closed", "permission denied for table closed").await;
    let (status, body) = platform.app.admin().patch(&platform.project.path("/auth"), json!({ "enabled": true })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    platform.check_refused("SELECT * FROM auth.users", "permission denied for schema auth").await;
    platform.check_refused("SELECT * FROM pg_catalog.pg_authid", "permission denied").await;
    let recorded: i64 = eventually("the denials are recorded", async || {
        let count = sqlx::query_scalar(
            "SELECT count(*) FROM audit_logs WHERE action = 'plugin.denied' AND details->>'capability' = 'query'
             AND (details->>'wanted' LIKE '%closed%' OR details->>'wanted' LIKE '%`' || $1 || '`%')",
        )
        .bind(&foreign)
        .fetch_one(platform.app.app.platform())
        .await
        .unwrap();
        (count == 2_i64).then_some(count)
    })
    .await;
    assert_eq!(recorded, 2);
}

#[tokio::test]
async fn query_ends_at_its_time_limit_and_with_its_run() {
    let platform = Platform::start().await;
    // A query can't extend the limit with a setting of its session.
    for sql in ["SELECT pg_sleep(600)", "SELECT set_config('statement_timeout', '0', false), pg_sleep(600)"] {
        let params = json!({ "database": platform.store(), "sql": sql, "timeoutMs": 500 });
        let mut guest = platform.guest("query", params).await;
        // If the query had only the server's limit of 60 seconds, the run would reach its own limit first.
        guest.call.timeout = Duration::from_secs(50);
        let message = guest.failure().await;
        assert!(message.contains("exceeded their time limit"), "{message}");
    }
    platform.until_no_query_runs().await;

    let params = json!({ "database": platform.store(), "sql": "SELECT pg_sleep(600)" });
    let guest = platform.guest("query", params).await;
    let cancel = guest.cancel.clone();
    let running = tokio::spawn(async move { guest.run().await });
    eventually("the query runs", async || platform.count_queries().await == 1).await;
    cancel.cancel();
    assert_eq!(running.await.unwrap(), Err(RunFailure::Cancelled));
    platform.until_no_query_runs().await;
}

#[tokio::test]
async fn query_whose_rows_are_not_read_ends_and_releases_its_connection() {
    let platform = Platform::start().await;
    let endless = "SELECT i, repeat('x', 1000) AS x FROM generate_series(1, 10000000) i";
    let idle = limits(|config| config.stream_idle = Duration::from_secs(1));
    for pause in [json!(null), json!(20)] {
        let params = json!({"of": "query", "name": platform.store(), "key": endless, "count": 2, "pauseMs": pause});
        let guest = platform.guest_with(idle, everything(), "slow-read", params.clone()).await;
        let ends = result_of(guest.run().await);
        let ends = ends.as_array().unwrap();
        assert_eq!(ends.len(), 2);
        assert!(ends.iter().all(|end| end.as_str().unwrap().contains("not read for 1 s")), "{params}: {ends:?}");
        platform.until_no_query_runs().await;
    }
}

#[tokio::test]
async fn concurrent_queries_are_limited_in_total_and_per_plugin() {
    let platform = Platform::start().await;
    let two = limits(|config| config.total_queries = 2);
    let params = json!({
        "call": "query", "count": 40, "name": platform.store(), "key": "SELECT 1 AS a FROM pg_sleep(0.05)",
    });
    let guest = platform.guest_with(two, everything(), "calls", params).await;
    let most = std::cell::Cell::new(0);
    let watch = async {
        loop {
            most.set(most.get().max(platform.count_queries().await));
            tokio::task::yield_now().await;
        }
    };
    let outcome = tokio::select! {
        outcome = guest.run() => result_of(outcome),
        () = watch => unreachable!(),
    };
    // A run can have eight transfers at a time. Further ones are refused immediately.
    let count = |name: &str| outcome[name].as_u64().unwrap_or(0);
    assert_eq!(count("ok") + count("TooLarge"), 40, "{outcome}");
    assert!(count("ok") >= 8, "{outcome}");
    // One plugin can use only one of the two permits. A connection may still be closing when the next one is opened.
    assert!((1..=2).contains(&most.get()), "{}", most.get());
    platform.until_no_query_runs().await;
}

#[tokio::test]
async fn forwarded_rows_are_stored_without_entering_the_guest() {
    let platform = Platform::start().await;
    let sql = "SELECT i, repeat('x', 1000) AS x FROM generate_series(1, 20000) i";
    let params = json!({ "database": platform.store(), "sql": sql, "key": "uploads/rows.ndjson" });
    let guest = platform.guest("query", params).await.limit(|limits| limits.host_call_mib = 1);
    let stored = result_of(guest.run().await);
    assert_eq!(stored["rowCount"], 20_000);
    assert!(stored["bytes"].as_u64().unwrap() > 20_000_000, "{stored}");
    // Rows that the guest reads count as bytes of host calls.
    let guest = platform.guest("query", json!({ "database": platform.store(), "sql": sql })).await;
    let failure = guest.limit(|limits| limits.host_call_mib = 1).failure().await;
    assert!(failure.contains("its limit of 1 MiB for host calls"), "{failure}");
    platform.until_no_query_runs().await;
}

#[tokio::test]
async fn role_is_repaired_after_changes_in_the_database_and_removed_with_its_project() {
    let platform = Platform::start().await;
    platform.project.sql(ITEMS).await;
    assert_eq!(platform.count_items().await, json!(2));
    let role = format!("proj_{}_query", platform.project.id);
    // After a restore, the role has no privileges in the database. On a new server, the role does not exist.
    for change in [
        format!("REVOKE ALL ON SCHEMA public FROM {role}; REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}"),
        format!("REVOKE ALL ON DATABASE proj_{} FROM {role}", platform.project.id),
        format!("ALTER ROLE {role} PASSWORD 'another'"),
        format!("DROP OWNED BY {role}; DROP ROLE {role}"),
    ] {
        let mut superuser = platform.project.connect().await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(change.clone())).execute(&mut superuser).await.expect(&change);
        assert_eq!(platform.count_items().await, json!(2), "{change}");
    }
    let name = json!({ "confirm": platform.project.name });
    let (status, body) = platform.app.admin().delete_with(&platform.project.path(""), name).await;
    assert!(status == StatusCode::OK || status == StatusCode::NO_CONTENT, "{status} {body}");
    let roles: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_roles WHERE starts_with(rolname, $1)")
        .bind(format!("proj_{}_", platform.project.id))
        .fetch_one(platform.app.app.platform())
        .await
        .unwrap();
    assert_eq!(roles, 0);
}
