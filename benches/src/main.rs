//! `cargo xtask bench`: every figure beside its floor, from one machine in one run, since machines are noisy
//! and only ratios travel.
//!
//! Arguments: seconds a measurement (8), part of a case's name (all).
//!
//! One process in embedded mode provides Postgres and the store; the process that is measured runs beside it on
//! the same Postgres. Floors: `pgbench` with the same SQL, prepared, 10 connections. Peer: PostgREST, where
//! `ATLASHUB_BENCH_POSTGREST_BIN` names it.

mod load;
mod pgbench;
mod platform;
mod plugins;
mod postgrest;
mod presign;
mod report;

use std::time::Duration;

use anyhow::Result;

use load::{Load, Request};
use platform::Platform;
use report::{Report, Row};

/// Connections of the load, as many as the floor has clients times three: enough to pipeline.
const CONNECTIONS: usize = 32;
const ROWS: u32 = 100_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(8);
    let length = Duration::from_secs(seconds);
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let platform = Platform::start().await?;
    platform.create_items(ROWS).await?;
    let mut report = Report::default();
    report.start(platform.ready_after, platform.idle_memory_kib()?);
    let postgrest = postgrest::start(&platform).await?;

    let wanted = std::env::args().nth(2).unwrap_or_default();
    for case in cases(&platform).into_iter().filter(|case| case.name.contains(&wanted)) {
        eprintln!("bench: {}", case.name);
        let floor = pgbench::transactions_per_second(&platform, case.floor_sql, length)?;
        let ours = Load::new(platform.gateway_address(), &case.ours).run(CONNECTIONS, length).await?;
        let paced = Load::new(platform.gateway_address(), &case.ours).run_paced(
            CONNECTIONS,
            length,
            ours.per_second() / 2.0,
        )?;
        // The floor once more: the machine may have changed its pace meanwhile.
        let floor_again = pgbench::transactions_per_second(&platform, case.floor_sql, length)?;
        let peer = match &postgrest {
            Some(peer) => Some(Load::new(peer.address(), &case.peer).run(CONNECTIONS, length).await?.per_second()),
            None => None,
        };
        report.case(Row {
            name: case.name,
            floor: (floor + floor_again) / 2.0,
            floor_goal: case.floor_goal,
            ours: ours.per_second(),
            peer,
            peer_goal: case.peer_goal,
            p50: paced.percentile(0.5),
            p99: paced.percentile(0.99),
        });
    }
    if "plugins".contains(&wanted) {
        eprintln!("bench: plugins");
        report.plugins(&plugins::measure(length / 4).await?);
    }
    report.presign(presign::per_second_of_one_core(length / 2).await?);
    report.memory_after(platform.idle_memory_kib()?);
    report.print();
    Ok(())
}

struct Case {
    name: &'static str,
    floor_sql: &'static str,
    floor_goal: f64,
    peer_goal: f64,
    ours: Vec<Request>,
    peer: Vec<Request>,
}

fn cases(platform: &Platform) -> Vec<Case> {
    let key = [("x-api-key", platform.secret_key())];
    let json = [("x-api-key", platform.secret_key()), ("content-type", "application/json")];
    let wanted = [("content-type", "application/json"), ("prefer", "return=representation")];
    // A fixed spread of ids, so that both sides read the same rows.
    let ids = || (0..1000u32).map(|i| (i * 7919) % ROWS + 1);
    vec![
        Case {
            name: "GET by primary key",
            floor_sql: "\\set id random(1, 100000)\n\
                        SELECT row_to_json(r.*) FROM (SELECT t.id, t.name, t.price, t.created_at FROM items AS t WHERE t.id = :id) r;",
            floor_goal: 0.50,
            peer_goal: 5.0,
            ours: ids().map(|id| Request::get(&format!("/v1/db/items?eq.id={id}"), &key)).collect(),
            peer: ids().map(|id| Request::get(&format!("/items?id=eq.{id}"), &[])).collect(),
        },
        Case {
            name: "100-row list",
            floor_sql: "\\set id random(1, 99000)\n\
                        SELECT json_agg(r.*) FROM (SELECT t.id, t.name, t.price, t.created_at FROM items AS t WHERE t.id >= :id ORDER BY t.id LIMIT 100) r;",
            floor_goal: 0.75,
            peer_goal: 4.0,
            ours: ids()
                .map(|id| Request::get(&format!("/v1/db/items?gte.id={id}&order=id.asc&limit=100"), &key))
                .collect(),
            peer: ids().map(|id| Request::get(&format!("/items?id=gte.{id}&order=id.asc&limit=100"), &[])).collect(),
        },
        Case {
            name: "insert one row, returned",
            floor_sql: "INSERT INTO inserted (name, price) VALUES ('a row', 12.50) RETURNING row_to_json(inserted.*);",
            floor_goal: 0.70,
            peer_goal: 4.0,
            ours: vec![Request::post("/v1/db/inserted", &json, r#"{"rows":[{"name":"a row","price":12.50}]}"#)],
            peer: vec![Request::post("/inserted", &wanted, r#"{"name":"a row","price":12.50}"#)],
        },
    ]
}
