//! Reads of one row by a unique key, several of which can share a statement.

use std::{cell::Cell, time::Instant};

use futures_util::future::join_all;
use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::support::{Client, TestApp, TestProject, WAIT_TIMEOUT, eventually};

const ITEMS: &str = r#"
    create domain code as varchar(40);
    create table items (
        id bigint primary key, small smallint unique, whole int unique, name text unique, code code unique,
        token uuid unique, region text not null, number int not null, unique (region, number),
        price numeric, ratio float8, flag boolean, doc json, tree jsonb, at timestamptz, day date, raw bytea,
        list text[], "odd ""name" text, large text);
    insert into items select i, i, i * 1000, 'name ' || chr(33 + i) || '"\{},' || i, 'c' || i,
        lpad(to_hex(i), 32, '0')::uuid, 'r' || i % 3, i, i + 0.10,
        case i % 4 when 0 then 'NaN' when 1 then 'Infinity' else i / 3.0 end, i % 2 = 0, '{"a" : 1.10}',
        '{"b":[1.0,null]}', '2024-01-01Z'::timestamptz + i * interval '1 day', '0044-03-15 BC', '\x00ff',
        array['x', null, 'y"'], case when i % 5 > 0 then 'o' || i end,
        case i % 10 when 0 then repeat('x', 90000) end
    from generate_series(1, 60) i;"#;

/// Returns the query of a random lookup, often for a row that exists.
fn lookup(random: &mut StdRng) -> Vec<(String, String)> {
    let row = random.random_range(1..=66);
    let number = |scale: i64| (row * scale).to_string();
    let uuid = uuid::Uuid::from_u128(row as u128).to_string();
    let filters = match random.random_range(0..12) {
        0..3 => vec![("eq.id", number(1))],
        3 => vec![("eq.small", number(1))],
        4 => vec![("eq.whole", number(1000))],
        5 => vec![("eq.name", format!("name {}\"\\{{}},{row}", char::from_u32(33 + row as u32).unwrap()))],
        6 => vec![("eq.code", format!("c{row}"))],
        7 => vec![("eq.token", uuid)],
        8 => vec![("eq.region", format!("r{}", row % 3)), ("eq.number", number(1))],
        9 => vec![("eq.number", number(1)), ("eq.region", format!("r{}", row % 3))],
        10 => vec![("eq.id", number(1)), ("eq.name", format!("c{row}"))],
        _ => {
            let value = ["", "x", " 5", "+5", "05", "5.0", "99999999999999999999", "5)", "{5}", "NULL", "\u{0}", "é"];
            let column = ["eq.id", "eq.small", "eq.name", "eq.token"][random.random_range(0..4)];
            vec![(column, value[random.random_range(0..value.len())].to_owned())]
        }
    };
    let mut query: Vec<_> = filters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let select = ["*", "id", "id,price,ratio,at", "a:name,b:doc,c:tree,list,raw", "\"odd \"\"name\"", "missing"];
    match random.random_range(0..9) {
        position if position < select.len() => query.push(("select".to_owned(), select[position].to_owned())),
        6 => query.push(("count".to_owned(), "exact".to_owned())),
        7 => query.push(("limit".to_owned(), "1".to_owned())),
        _ => {}
    }
    query
}

async fn response(client: &Client, query: &[(String, String)]) -> (StatusCode, String) {
    let response = client.request(Method::GET, "/v1/db/items").query(query).send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    if status.is_success() {
        return (status, text);
    }
    let mut error: Value = serde_json::from_str(&text).unwrap();
    error["error"]["requestId"].take();
    (status, error.to_string())
}

/// Starts two servers on one platform database. Only the first shares statements.
async fn servers() -> (TestApp, TestApp, TestProject) {
    let app = TestApp::start().await;
    let plain = TestApp::builder()
        .database_url(app.services.database_url.expose())
        .master_keys(&app.services.master_key, None)
        .var("ATLASHUB_SHARE_LOOKUPS", "false")
        .start()
        .await;
    let project = app.create_project("items").await;
    project.sql(ITEMS).await;
    (app, plain, project)
}

/// Returns whether a connection to the project has just run a shared statement or ended a shared transaction.
async fn shares(project: &TestProject, connection: &mut sqlx::PgConnection) -> bool {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_stat_activity
                        WHERE datname = $1 AND pid <> pg_backend_pid()
                          AND (query LIKE '%WITH ORDINALITY AS b(%' OR query LIKE '%end_of_shared_transaction'))",
    )
    .bind(format!("proj_{}", project.id))
    .fetch_one(connection)
    .await
    .unwrap()
}

/// Sends the requests together. Returns their results, and whether something shared was seen while they ran.
///
/// A connection shows only its last statement, so it is read repeatedly until all requests have their response.
pub(super) async fn together<T>(
    project: &TestProject,
    connection: &mut sqlx::PgConnection,
    requests: impl IntoIterator<Item = impl Future<Output = T>>,
) -> (Vec<T>, bool) {
    let has_ended = Cell::new(false);
    let responses = async {
        let responses = join_all(requests).await;
        has_ended.set(true);
        responses
    };
    let seen = async {
        loop {
            let is_last = has_ended.get();
            if shares(project, connection).await {
                return true;
            }
            if is_last {
                return false;
            }
        }
    };
    tokio::join!(responses, seen)
}

#[tokio::test]
async fn lookups_that_share_a_statement_return_what_each_returns_alone() {
    let (_app, plain, project) = servers().await;
    let plain = plain.public().with_header("x-api-key", &project.secret_key);
    let client = project.secret();
    let mut connection = project.connect().await;
    let mut random = StdRng::seed_from_u64(7);
    let mut is_shared = false;
    let deadline = Instant::now() + WAIT_TIMEOUT;
    for round in 0.. {
        // On a busy machine, shared statements may time out in the first rounds.
        if round >= 12 && is_shared {
            break;
        }
        assert!(round < 12 || Instant::now() < deadline, "no statement was shared");
        let shape = lookup(&mut random);
        let queries: Vec<_> = (0..48)
            .map(|number| match number % 2 {
                // Half of the lookups have the same shape.
                0 => {
                    let mut query = shape.clone();
                    let mut others = std::iter::repeat_with(|| lookup(&mut random));
                    query.splice(.., others.find(|other| names(other) == names(&shape)).unwrap());
                    query
                }
                _ => lookup(&mut random),
            })
            .collect();
        let requests = queries.iter().map(|query| response(&client, query));
        let (responses, seen) = together(&project, &mut connection, requests).await;
        is_shared |= seen;
        for (query, shared) in queries.iter().zip(responses) {
            assert_eq!(shared, response(&plain, query).await, "{query:?}");
        }
    }
}

fn names(query: &[(String, String)]) -> Vec<&str> {
    query.iter().map(|(name, value)| if name == "select" { &**value } else { &**name }).collect()
}

#[tokio::test]
async fn each_of_many_lookups_at_once_returns_its_own_row() {
    let (_app, _plain, project) = servers().await;
    let client = project.secret();
    let mut connection = project.connect().await;
    // On a busy machine, a shared statement for many lookups may time out, so smaller numbers are tried too.
    let mut numbers = [200, 100, 50, 25].into_iter().cycle();
    eventually("lookups share a statement", async || {
        let ids: Vec<i64> = (0..numbers.next().unwrap()).map(|number| number * 7 % 70).collect();
        let lookups = ids.iter().map(async |id| client.get(&format!("/v1/db/items?eq.id={id}&select=id,name")).await);
        let (responses, is_shared) = together(&project, &mut connection, lookups).await;
        for (id, (status, body)) in ids.iter().zip(responses) {
            assert_eq!(status, StatusCode::OK, "{body}");
            let rows = body["rows"].as_array().unwrap();
            let found: Vec<_> = rows.iter().map(|row| row["id"].as_i64().unwrap()).collect();
            assert_eq!(found, if (1..=60).contains(id) { vec![*id] } else { vec![] });
        }
        is_shared
    })
    .await;
}

#[tokio::test]
async fn lookups_of_tables_that_run_code_share_no_statement() {
    let (_app, _plain, project) = servers().await;
    project
        .sql(
            "create function is_open() returns boolean volatile language plpgsql as 'begin return true; end';
             create table guarded (id int primary key); insert into guarded select generate_series(1, 50);
             alter table guarded enable row level security;
             create policy p on guarded for select using (is_open());",
        )
        .await;
    project.expose("guarded", "read", "none").await;
    let client = project.publishable();
    let mut connection = project.connect().await;
    for _ in 0..3 {
        let lookups = (1..=50).map(async |id| client.get(&format!("/v1/db/guarded?eq.id={id}")).await);
        let (responses, is_shared) = together(&project, &mut connection, lookups).await;
        for (index, (status, body)) in responses.into_iter().enumerate() {
            assert_eq!((status, body["rows"][0]["id"].as_u64()), (StatusCode::OK, Some(index as u64 + 1)), "{body}");
        }
        assert!(!is_shared);
    }
}
