//! `cargo xtask bench`: measures AtlasHub, its baseline and a peer on one machine in one run. Only their ratios are
//! comparable between machines.
//!
//! Arguments: seconds per measurement (default 3; requests are measured five times), and parts of the names of cases,
//! comma-separated (default: all cases).
//!
//! One process in embedded mode provides Postgres and the store. The measured process runs next to it on the same
//! Postgres. The baseline is `pgbench` with the same SQL, prepared, over 10 connections. The peer is PostgREST, if
//! `ATLASHUB_BENCH_POSTGREST_BIN` names its binary. If `ATLASHUB_BENCH_OLD_BIN` names the binary of an older build, the
//! case `older build` compares that build with this one. `ATLASHUB_BENCH_TRANSFER_ROWS` is the number of rows that the
//! case `transfers` exports and imports (default 1 000 000).

mod backup;
mod cancel;
mod jobs;
mod load;
mod logins;
mod paired;
mod pgbench;
mod platform;
mod plugins;
mod postgrest;
mod presign;
mod project;
mod report;
mod restores;
mod runs;
mod statistics;
mod transfers;

use std::time::Duration;

use anyhow::Result;

use load::{Load, Request};
use platform::Platform;
use postgrest::Postgrest;
use report::{Report, Row};
use statistics::{REPETITIONS, median, median_by_ratio};

/// Connections of the load: about three times the clients of pgbench, so that the gateway pipelines statements.
const CONNECTIONS: usize = 32;
const ROWS: u32 = 100_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(3);
    let duration = Duration::from_secs(seconds);
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let platform = Platform::start(&platform::binary()?).await?;
    platform.create_tables(ROWS).await?;
    let mut report = Report::default();
    platform.wait_for_first_party_plugins().await?;
    report.add_start(platform.ready_after, platform.resident_memory_kib()?);
    let postgrest = postgrest::start(&platform).await?;

    let outcome = measure_selected(&platform, postgrest.as_ref(), duration, &mut report).await;
    // The report is printed even if a case fails. It then contains the cases before that one.
    report.print();
    outcome
}

/// Number of sessions whose access tokens the signed-in requests use.
const SESSIONS: usize = 1000;

/// Measures the cases that the second argument selects, and in any case signing and the memory at the end.
async fn measure_selected(
    platform: &Platform,
    postgrest: Option<&Postgrest>,
    duration: Duration,
    report: &mut Report,
) -> Result<()> {
    let filters = std::env::args().nth(2).unwrap_or_default();
    let is_selected = |name: &str| filters.split(',').any(|filter| name.contains(filter.trim()));
    let tokens = platform.user_tokens(SESSIONS).await?;
    for case in cases(platform, &tokens).into_iter().filter(|case| is_selected(case.name)) {
        eprintln!("bench: {}", case.name);
        report.add_case(measure(platform, &case, postgrest, duration).await?);
    }
    if is_selected("older build")
        && let Some(old) = paired::start().await?
    {
        eprintln!("bench: older build");
        report.add_paired(&paired::measure(&old, platform, duration).await?);
    }
    if is_selected("backup of 1 GB") {
        eprintln!("bench: backup of 1 GB");
        report.add_backup(&backup::measure(platform).await?);
        eprintln!("bench: restore of 1 GB");
        report.add_restore(&restores::measure(platform).await?);
    }
    if is_selected("transfers") {
        eprintln!("bench: transfers");
        report.add_transfers(&transfers::measure(platform).await?);
    }
    if is_selected("due jobs") {
        eprintln!("bench: due jobs");
        report.add_due_jobs(&jobs::measure(platform).await?);
    }
    if is_selected("logins") {
        report.add_logins(&logins::measure(platform, &tokens, duration).await?);
    }
    if is_selected("plugins") {
        eprintln!("bench: plugins");
        report.add_plugins(&plugins::measure(duration / 4).await?);
    }
    if is_selected("cancel") {
        eprintln!("bench: cancel");
        report.add_cancel(
            &std::thread::spawn(cancel::measure)
                .join()
                .map_err(|_| anyhow::anyhow!("the thread of the cancel bench panicked"))??,
        );
    }
    report.add_presign(presign::signatures_per_second(duration / 2).await?);
    report.add_memory_after(platform.resident_memory_kib()?);
    Ok(())
}

/// Measures baseline, AtlasHub and peer in turn, so that changes in the machine's speed affect all of them. Returns the
/// medians.
async fn measure(platform: &Platform, case: &Case, peer: Option<&Postgrest>, duration: Duration) -> Result<Row> {
    let (mut baseline_rates, mut atlashub_rates, mut peer_rates) = (Vec::new(), Vec::new(), Vec::new());
    let (mut latencies, mut baseline_latencies) = (Vec::new(), Vec::new());
    let address = platform.gateway_address();
    for _ in 0..REPETITIONS {
        baseline_rates.push(pgbench::transactions_per_second(platform, &case.baseline_sql, duration)?);
        atlashub_rates.push(Load::new(address, &case.atlashub).run(CONNECTIONS, duration).await?.per_second());
        if let Some(peer) = peer.filter(|_| !case.peer.is_empty()) {
            peer_rates.push(Load::new(peer.address(), &case.peer).run(CONNECTIONS, duration).await?.per_second());
        }
    }
    let (baseline, atlashub) = (median(baseline_rates), median(atlashub_rates));
    for _ in 0..REPETITIONS {
        let outcome = Load::new(address, &case.atlashub).run_paced(CONNECTIONS, duration, atlashub / 2.0)?;
        latencies.push((outcome.percentile(0.5), outcome.percentile(0.99)));
        let outcome = pgbench::latencies(platform, &case.baseline_sql, duration, baseline / 2.0)?;
        baseline_latencies.push((outcome.percentile(0.5), outcome.percentile(0.99)));
    }
    Ok(Row {
        name: case.name,
        baseline,
        baseline_goal: case.baseline_goal,
        atlashub,
        peer: Some(peer_rates).filter(|rates| !rates.is_empty()).map(median),
        peer_goal: case.peer_goal,
        latency: median_by_ratio(latencies),
        baseline_latency: median_by_ratio(baseline_latencies),
    })
}

struct Case {
    name: &'static str,
    baseline_sql: String,
    /// Minimum acceptable share of the baseline's rate.
    baseline_goal: Option<f64>,
    /// Minimum acceptable multiple of the peer's rate.
    peer_goal: Option<f64>,
    atlashub: Vec<Request>,
    peer: Vec<Request>,
}

/// Returns a request that reads a row of `notes` as the signed-in user of an access token.
fn signed_in_read(platform: &Platform, token: &str, id: u32) -> Request {
    let bearer = format!("Bearer {token}");
    let headers = [("x-api-key", platform.publishable_key()), ("authorization", bearer.as_str())];
    Request::get(&format!("/v1/db/notes?eq.id={id}"), &headers)
}

/// Returns the measured requests. `tokens` are access tokens, which the signed-in requests use in turn.
fn cases(platform: &Platform, tokens: &[String]) -> Vec<Case> {
    let key = [("x-api-key", platform.secret_key())];
    let json = [("x-api-key", platform.secret_key()), ("content-type", "application/json")];
    let returning = [("content-type", "application/json"), ("prefer", "return=representation")];
    // A fixed sequence of IDs, so that AtlasHub and PostgREST read the same rows. pgbench reads random rows.
    let ids = || (0..1000u32).map(|i| (i * 7919) % ROWS + 1);
    vec![
        Case {
            name: "GET by primary key",
            baseline_sql: "\\set id random(1, 100000)\n\
                        SELECT row_to_json(r.*) FROM (SELECT t.id, t.name, t.price, t.created_at \
                        FROM items AS t WHERE t.id = :id) r;"
                .to_owned(),
            baseline_goal: Some(1.0),
            peer_goal: Some(11.0),
            atlashub: ids().map(|id| Request::get(&format!("/v1/db/items?eq.id={id}"), &key)).collect(),
            peer: ids().map(|id| Request::get(&format!("/items?id=eq.{id}"), &[])).collect(),
        },
        Case {
            name: "100-row list",
            baseline_sql: "\\set id random(1, 99000)\n\
                        SELECT json_agg(r.*) FROM (SELECT t.id, t.name, t.price, t.created_at \
                        FROM items AS t WHERE t.id >= :id ORDER BY t.id LIMIT 100) r;"
                .to_owned(),
            baseline_goal: Some(1.0),
            peer_goal: Some(6.5),
            atlashub: ids()
                .map(|id| Request::get(&format!("/v1/db/items?gte.id={id}&order=id.asc&limit=100"), &key))
                .collect(),
            peer: ids().map(|id| Request::get(&format!("/items?id=gte.{id}&order=id.asc&limit=100"), &[])).collect(),
        },
        Case {
            name: "1 000-row list",
            baseline_sql: "\\set id random(1, 99000)\n\
                        SELECT json_agg(r.*) FROM (SELECT t.id, t.name, t.price, t.created_at \
                        FROM items AS t WHERE t.id >= :id ORDER BY t.id LIMIT 1000) r;"
                .to_owned(),
            baseline_goal: None,
            peer_goal: None,
            atlashub: ids()
                .map(|id| Request::get(&format!("/v1/db/items?gte.id={}&order=id&limit=1000", id % 99_000), &key))
                .collect(),
            peer: ids()
                .map(|id| Request::get(&format!("/items?id=gte.{}&order=id&limit=1000", id % 99_000), &[]))
                .collect(),
        },
        Case {
            name: "100-row list of 31 columns",
            baseline_sql: "\\set id random(1, 9900)\n\
                        SELECT json_agg(r.*) FROM \
                        (SELECT * FROM wide AS t WHERE t.id >= :id ORDER BY t.id LIMIT 100) r;"
                .to_owned(),
            baseline_goal: None,
            peer_goal: None,
            atlashub: ids()
                .map(|id| Request::get(&format!("/v1/db/wide?gte.id={}&order=id&limit=100", id % 9900), &key))
                .collect(),
            peer: ids()
                .map(|id| Request::get(&format!("/wide?id=gte.{}&order=id&limit=100", id % 9900), &[]))
                .collect(),
        },
        Case {
            name: "GET by primary key, signed in",
            baseline_sql: format!(
                "\\set id random(1, 100000)\n\
                 BEGIN;\n\
                 SELECT set_config('request.jwt.claims', '{{\"sub\":\"{}\"}}', true);\n\
                 SELECT row_to_json(r.*) FROM (SELECT t.id, t.user_id, t.body FROM notes AS t WHERE t.id = :id) r;\n\
                 COMMIT;",
                platform::USER
            ),
            baseline_goal: None,
            peer_goal: None,
            atlashub: ids().zip(tokens.iter().cycle()).map(|(id, token)| signed_in_read(platform, token, id)).collect(),
            peer: Vec::new(),
        },
        Case {
            name: "insert one row, returned",
            baseline_sql: "INSERT INTO inserted (name, price) VALUES ('a row', 12.50) \
                        RETURNING row_to_json(inserted.*);"
                .to_owned(),
            baseline_goal: Some(0.8),
            peer_goal: Some(5.0),
            atlashub: vec![Request::post("/v1/db/inserted", &json, r#"{"rows":[{"name":"a row","price":12.50}]}"#)],
            peer: vec![Request::post("/inserted", &returning, r#"{"name":"a row","price":12.50}"#)],
        },
    ]
}
