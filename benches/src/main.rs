//! `cargo xtask bench`: every figure beside its floor, from one machine in one run, since machines are noisy
//! and only ratios travel.
//!
//! Arguments: seconds a measurement (3; each is taken five times), parts of cases' names with commas between them (all).
//!
//! One process in embedded mode provides Postgres and the store; the process that is measured runs beside it on
//! the same Postgres. Floors: `pgbench` with the same SQL, prepared, 10 connections. Peer: PostgREST, where
//! `ATLASHUB_BENCH_POSTGREST_BIN` names it.

mod backup;
mod cancel;
mod jobs;
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
use postgrest::Postgrest;
use report::{Report, Row};

/// Connections of the load, as many as the floor has clients times three: enough to pipeline.
const CONNECTIONS: usize = 32;
/// How often each measurement is taken.
const TURNS: usize = 5;
const ROWS: u32 = 100_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(3);
    let length = Duration::from_secs(seconds);
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let platform = Platform::start().await?;
    platform.create_items(ROWS).await?;
    let mut report = Report::default();
    platform.until_plugins_are_loaded().await?;
    report.start(platform.ready_after, platform.idle_memory_kib()?);
    let postgrest = postgrest::start(&platform).await?;

    let parts = std::env::args().nth(2).unwrap_or_default();
    let wanted = |name: &str| parts.split(',').any(|part| name.contains(part.trim()));
    for case in cases(&platform).into_iter().filter(|case| wanted(case.name)) {
        eprintln!("bench: {}", case.name);
        report.case(measure(&platform, &case, postgrest.as_ref(), length).await?);
    }
    if wanted("backup of 1 GB") {
        eprintln!("bench: backup of 1 GB");
        report.backup(&backup::measure(&platform).await?);
    }
    if wanted("due jobs") {
        eprintln!("bench: due jobs");
        report.due_jobs(&jobs::measure(&platform).await?);
    }
    if wanted("plugins") {
        eprintln!("bench: plugins");
        report.plugins(&plugins::measure(length / 4).await?);
    }
    if wanted("cancel") {
        eprintln!("bench: cancel");
        report
            .cancel(&std::thread::spawn(cancel::measure).join().map_err(|_| anyhow::anyhow!("cancel: it panicked"))??);
    }
    report.presign(presign::per_second_of_one_core(length / 2).await?);
    report.memory_after(platform.idle_memory_kib()?);
    report.print();
    Ok(())
}

/// In turns, so that each side has the machine in all of its moods; of each figure the median counts.
async fn measure(platform: &Platform, case: &Case, peer: Option<&Postgrest>, length: Duration) -> Result<Row> {
    let (mut floors, mut ours, mut peers) = (Vec::new(), Vec::new(), Vec::new());
    let (mut latencies, mut floor_latencies) = (Vec::new(), Vec::new());
    let address = platform.gateway_address();
    for _ in 0..TURNS {
        floors.push(pgbench::transactions_per_second(platform, case.floor_sql, length)?);
        ours.push(Load::new(address, &case.ours).run(CONNECTIONS, length).await?.per_second());
        if let Some(peer) = peer {
            peers.push(Load::new(peer.address(), &case.peer).run(CONNECTIONS, length).await?.per_second());
        }
    }
    let (floor, ours) = (median(floors), median(ours));
    for _ in 0..TURNS {
        let outcome = Load::new(address, &case.ours).run_paced(CONNECTIONS, length, ours / 2.0)?;
        latencies.push((outcome.percentile(0.5), outcome.percentile(0.99)));
        let outcome = pgbench::latencies(platform, case.floor_sql, length, floor / 2.0)?;
        floor_latencies.push((outcome.percentile(0.5), outcome.percentile(0.99)));
    }
    Ok(Row {
        name: case.name,
        floor,
        floor_goal: case.floor_goal,
        ours,
        peer: peer.map(|_| median(peers)),
        peer_goal: case.peer_goal,
        latency: of_median_ratio(latencies),
        floor_latency: of_median_ratio(floor_latencies),
    })
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// The pair of p50 and p99 whose ratio is the median of all.
fn of_median_ratio(mut pairs: Vec<(Duration, Duration)>) -> (Duration, Duration) {
    pairs.sort_unstable_by(|a, b| report::ratio(*a).total_cmp(&report::ratio(*b)));
    pairs.get(pairs.len() / 2).copied().unwrap_or_default()
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
