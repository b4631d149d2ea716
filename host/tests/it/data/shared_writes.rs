//! Writes at the same moment, several of which can share a transaction.

use std::{collections::HashMap, sync::atomic::Ordering};

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Client, TestApp, TestProject, end_sleeping, eventually, until_sleeping};

const ITEMS: &str = "
    create table groups (id int primary key);
    insert into groups select generate_series(1, 100);
    create table items (
        id bigint generated always as identity primary key, code int unique, note text not null default 'none',
        group_id int references groups deferrable initially deferred, price numeric check (price > 0));
    create table counters (id int primary key, total int not null default 0);
    insert into counters (id) select generate_series(1, 200);";

async fn start() -> (TestApp, TestProject) {
    let app = TestApp::start().await;
    let project = app.create_project("items").await;
    project.sql(ITEMS).await;
    (app, project)
}

async fn insert(client: &Client, row: Value) -> (StatusCode, Value) {
    client.post("/v1/db/items", json!({ "rows": [row] })).await
}

/// Returns whether a transaction inserted rows of several requests, each of which inserts one row.
async fn has_shared_transaction(project: &TestProject) -> bool {
    let shared = "select exists (select from items group by xmin::text having count(*) > 1)";
    sqlx::query_scalar(shared).fetch_one(&mut project.connect().await).await.unwrap()
}

#[tokio::test]
async fn each_of_many_writes_at_once_has_its_own_result() {
    let (_app, project) = start().await;
    let client = project.secret();
    eventually("writes share a transaction", async || {
        project.sql("truncate items; update counters set total = 0").await;
        let rows = (0..100).map(|code| json!({ "code": code, "note": format!("note {code}") }));
        let inserts = join_all(rows.clone().map(|row| insert(&client, row)));
        let updates = (1..=60).map(async |id| {
            let path = format!("/v1/db/counters?eq.id={}&returning=representation", 1 + id % 20);
            client.patch(&path, json!({ "values": { "total": id } })).await
        });
        let (inserted, updated) = tokio::join!(inserts, join_all(updates));
        for (row, (status, body)) in rows.zip(inserted) {
            assert_eq!(status, StatusCode::CREATED, "{body}");
            let returned = &body["rows"][0];
            assert_eq!((&returned["code"], &returned["note"]), (&row["code"], &row["note"]));
        }
        for (index, (status, body)) in updated.into_iter().enumerate() {
            assert_eq!(status, StatusCode::OK, "{body}");
            let id = index + 1;
            assert_eq!(body["rows"], json!([{ "id": 1 + id % 20, "total": id }]));
        }
        let count: i64 =
            sqlx::query_scalar("select count(*) from items").fetch_one(&mut project.connect().await).await.unwrap();
        assert_eq!(count, 100);
        has_shared_transaction(&project).await
    })
    .await;
}

#[tokio::test]
async fn write_that_fails_affects_none_of_the_writes_at_the_same_moment() {
    let (_app, project) = start().await;
    project.sql("insert into items (code) values (1000)").await;
    let client = project.secret();
    // The last one fails only when the transaction is committed.
    let failing = [
        (json!({ "code": 1000 }), "unique_violation"),
        (json!({ "price": -1 }), "check_violation"),
        (json!({ "code": "x" }), "invalid_value"),
        (json!({ "note": null }), "not_null_violation"),
        (json!({ "group_id": 101 }), "foreign_key_violation"),
    ];
    for (failing, code) in failing {
        let rows: Vec<_> =
            (0..50).map(|number| if number % 10 == 3 { failing.clone() } else { json!({ "note": "good" }) }).collect();
        let responses = join_all(rows.iter().map(|row| insert(&client, row.clone()))).await;
        for (row, (status, body)) in rows.iter().zip(responses) {
            if *row == failing {
                assert_eq!(body["error"]["code"], code, "{body}");
            } else {
                assert_eq!((status, &body["rows"][0]["note"]), (StatusCode::CREATED, &json!("good")), "{body}");
            }
        }
        let mut connection = project.connect().await;
        let count: i64 = sqlx::query_scalar(
            "with deleted as (delete from items where note = 'good' returning 1)
            select count(*) from deleted",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        assert_eq!(count, 45, "{code}");
    }
}

#[tokio::test]
async fn write_that_fails_needs_no_connection_of_its_own() {
    let app = TestApp::builder().var("ATLASHUB_POOL_SIZE", "1").start().await;
    let project = app.create_project("items").await;
    project.sql(ITEMS).await;
    project
        .sql(
            "insert into items (code) values (1000);
             create table slow (id int primary key);
             create function sleep() returns trigger language plpgsql as
                 'begin perform pg_catalog.pg_sleep(600); return new; end';
             create trigger t before insert on slow for each row execute function sleep();",
        )
        .await;
    let client = project.secret();
    eventually("writes share a transaction", async || {
        join_all((0..50).map(|_| insert(&client, json!({ "note": "first" })))).await;
        has_shared_transaction(&project).await
    })
    .await;
    // The only connection for statements that run alone is in use.
    let mut connection = project.connect().await;
    let slow = tokio::spawn({
        let client = project.secret();
        async move { client.post("/v1/db/slow", json!({ "rows": [{ "id": 1 }] })).await }
    });
    until_sleeping(&mut connection).await;
    let failing = json!({ "code": 1000 });
    let rows: Vec<_> =
        (0..50).map(|number| if number % 10 == 3 { failing.clone() } else { json!({ "note": "good" }) }).collect();
    let responses = join_all(rows.iter().map(|row| insert(&client, row.clone()))).await;
    for (row, (status, body)) in rows.iter().zip(responses) {
        if *row == failing {
            assert_eq!(body["error"]["code"], "unique_violation", "{body}");
        } else {
            assert_eq!(status, StatusCode::CREATED, "{body}");
        }
    }
    assert!(!slow.is_finished());
    end_sleeping(&mut connection).await;
    slow.await.unwrap();
}

#[tokio::test]
async fn writes_do_not_wait_for_the_lock_that_another_write_waits_for() {
    let app = TestApp::builder().var("ATLASHUB_REQUEST_TIMEOUT_SECONDS", "2").start().await;
    let project = app.create_project("items").await;
    project.sql(ITEMS).await;
    let client = project.secret();
    let mut owner = project.connect().await;
    // On a busy machine, the blocked write may not share a transaction with the other writes. Then some of those may be
    // sent behind it.
    eventually("the other writes do not wait", async || {
        project.sql("delete from items").await;
        let mut transaction = sqlx::Connection::begin(&mut owner).await.unwrap();
        sqlx::query("insert into items (code) values (30)").execute(&mut *transaction).await.unwrap();
        let others = async {
            let others = (1..=60).filter(|code| *code != 30).map(|code| insert(&client, json!({ "code": code })));
            let others = join_all(others).await;
            transaction.rollback().await.unwrap();
            others
        };
        let (others, blocked) = tokio::join!(others, insert(&client, json!({ "code": 30 })));
        others.into_iter().chain([blocked]).all(|(status, body)| {
            assert!(matches!(status, StatusCode::CREATED | StatusCode::GATEWAY_TIMEOUT), "{body}");
            status == StatusCode::CREATED
        })
    })
    .await;
}

#[tokio::test]
async fn no_write_is_made_twice_when_connections_are_lost() {
    let (_app, project) = start().await;
    let client = project.secret();
    let has_ended = std::sync::atomic::AtomicBool::new(false);
    let inserts = async {
        let mut responses = Vec::new();
        for round in 0..8 {
            let inserts = (0..50).map(async |number| {
                let note = format!("{round}-{number}");
                let (status, body) = insert(&client, json!({ "note": note })).await;
                (note, status, body)
            });
            responses.extend(join_all(inserts).await);
        }
        has_ended.store(true, Ordering::Relaxed);
        responses
    };
    let kills = async {
        let mut connection = project.connect().await;
        while !has_ended.load(Ordering::Relaxed) {
            sqlx::query(
                "select pg_terminate_backend(pid) from pg_stat_activity
                 where datname = current_database() and usename like '%_app' and state = 'active'",
            )
            .execute(&mut connection)
            .await
            .unwrap();
        }
    };
    let (responses, ()) = tokio::join!(inserts, kills);
    let rows: Vec<(String, i64)> = sqlx::query_as("select note, count(*) from items group by note")
        .fetch_all(&mut project.connect().await)
        .await
        .unwrap();
    let mut counts: HashMap<String, i64> = rows.into_iter().collect();
    for (note, status, body) in responses {
        let count = counts.remove(&note).unwrap_or(0);
        match status {
            StatusCode::CREATED => assert_eq!(count, 1, "{note}"),
            // The response says that the database was unreachable. Postgres may have committed before.
            StatusCode::SERVICE_UNAVAILABLE => assert!(count <= 1, "{note} was inserted {count} times"),
            _ => panic!("{status}: {body}"),
        }
    }
    assert!(counts.is_empty());
}

#[tokio::test]
async fn writes_share_no_transaction_if_that_is_switched_off() {
    let app = TestApp::builder().var("ATLASHUB_SHARE_INSERTS", "false").start().await;
    let project = app.create_project("items").await;
    project.sql(ITEMS).await;
    let client = project.secret();
    for (status, body) in join_all((0..100).map(|_| insert(&client, json!({})))).await {
        assert_eq!(status, StatusCode::CREATED, "{body}");
    }
    assert!(!has_shared_transaction(&project).await);
}

#[tokio::test]
async fn writes_to_tables_that_run_code_share_no_transaction() {
    let (_app, project) = start().await;
    project
        .sql(
            "create function note() returns trigger language plpgsql as 'begin new.note := ''set''; return new; end';
             create trigger t before insert on items for each row execute function note();",
        )
        .await;
    let client = project.secret();
    for (status, body) in join_all((0..60).map(|_| insert(&client, json!({})))).await {
        assert_eq!((status, &body["rows"][0]["note"]), (StatusCode::CREATED, &json!("set")), "{body}");
    }
    assert!(!has_shared_transaction(&project).await);
}
