//! The table, as `docs/PERFORMANCE.md` has it.

use std::time::Duration;

use crate::{
    backup::Figures,
    cancel,
    jobs::{self, Lateness},
    plugins::PluginFigures,
};

/// One kind of request.
pub struct Row {
    pub name: &'static str,
    /// Per second.
    pub floor: f64,
    pub floor_goal: f64,
    pub ours: f64,
    pub peer: Option<f64>,
    pub peer_goal: f64,
    /// p50 and p99 at half of `ours`.
    pub latency: (Duration, Duration),
    /// The same of pgbench, at half of `floor`.
    pub floor_latency: (Duration, Duration),
}

/// p99 / p50.
pub fn ratio((p50, p99): (Duration, Duration)) -> f64 {
    p99.as_secs_f64() / p50.as_secs_f64().max(f64::MIN_POSITIVE)
}

#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
    lines: Vec<(&'static str, String, &'static str)>,
}

impl Report {
    pub fn case(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub fn start(&mut self, ready_after: Duration, memory_kib: u64) {
        self.lines.push(("start to ready, Postgres running", format!("{} ms", ready_after.as_millis()), "≤ 1 s"));
        self.lines.push((
            "idle memory with four plugins loaded",
            format!("{:.1} MiB", memory_kib as f64 / 1024.0),
            "≤ 60 MiB",
        ));
    }

    pub fn presign(&mut self, per_second: f64) {
        self.lines.push(("presigned uploads, one core", format!("{per_second:.0}/s"), "≥ 20 000/s"));
    }

    pub fn backup(&mut self, figures: &Figures) {
        let ratio = figures.ours.as_secs_f64() / figures.by_hand.as_secs_f64();
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        self.lines.push((
            "backup of 1 GB, by hand",
            format!(
                "{:.1} s ({:.0} MB, dump {:.0} MB)",
                figures.by_hand.as_secs_f64(),
                megabytes(figures.database_bytes),
                megabytes(figures.dump_bytes)
            ),
            "–",
        ));
        self.lines.push((
            "backup of 1 GB, through the plugin",
            format!("{:.1} s, {ratio:.3} × by hand", figures.ours.as_secs_f64()),
            "≤ 1.05 ×",
        ));
        self.lines.push((
            "memory that a backup adds, at its peak",
            format!("{:.1} MiB", figures.growth_kib as f64 / 1024.0),
            "≤ 32 MiB",
        ));
    }

    pub fn due_jobs(&mut self, figures: &jobs::Figures) {
        let text = |Lateness { p50_ms, p99_ms, per_second }| {
            format!("p50 {p50_ms:.0} ms, p99 {p99_ms:.0} ms, {per_second:.0}/s")
        };
        self.lines.extend([
            ("1 000 jobs due at once, a component that does nothing", text(figures.nothing), "p99 ≤ 250 ms"),
            ("1 000 jobs due at once, a component that asks Postgres", text(figures.status), "p99 ≤ 250 ms"),
        ]);
    }

    pub fn plugins(&mut self, figures: &PluginFigures) {
        let micros = |time: Duration| format!("{:.1} µs", time.as_secs_f64() * 1e6);
        let gib = |figure: f64| format!("{figure:.2} GiB/s");
        let of_native = format!(
            "{} ({:.0} % of {})",
            gib(figures.forwarded),
            figures.forwarded / figures.native * 100.0,
            gib(figures.native)
        );
        self.lines.extend([
            ("plugin: compile (550 KB)", format!("{} ms", figures.compile.as_millis()), "–"),
            ("plugin: instantiate", micros(figures.instantiate), "≤ 50 µs"),
            ("plugin: run that does nothing", micros(figures.run), "–"),
            ("plugin: call to the host", micros(figures.call), "–"),
            ("plugin: forwarded stream", of_native, "native copy speed"),
            ("plugin: guest-transformed stream", gib(figures.transformed), "≥ 1 GiB/s"),
            (
                "plugin: memory of the engine and four plugins",
                format!("{:.1} MiB", figures.memory_kib as f64 / 1024.0),
                "idle ≤ 60 MiB in all",
            ),
        ]);
    }

    pub fn cancel(&mut self, figures: &cancel::Figures) {
        let text = format!(
            "median {:.1} ms, longest {:.1} ms",
            figures.median.as_secs_f64() * 1e3,
            figures.longest.as_secs_f64() * 1e3
        );
        self.lines.push(("a run goes on after it is cancelled", text, "≤ 100 ms"));
    }

    pub fn memory_after(&mut self, memory_kib: u64) {
        self.lines.push(("memory after the load", format!("{:.1} MiB", memory_kib as f64 / 1024.0), "flat"));
    }

    pub fn print(&self) {
        println!("| what | floor (pgbench) | AtlasHub | of the floor | goal | PostgREST | times it | goal |");
        println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
        for row in &self.rows {
            let (peer, times) = match row.peer {
                Some(peer) => (format!("{peer:.0}/s"), format!("{:.1} ×", row.ours / peer)),
                None => ("–".to_owned(), "–".to_owned()),
            };
            println!(
                "| {} | {:.0}/s | {:.0}/s | {:.0} % | ≥ {:.0} % | {peer} | {times} | ≥ {:.0} × |",
                row.name,
                row.floor,
                row.ours,
                row.ours / row.floor * 100.0,
                row.floor_goal * 100.0,
                row.peer_goal,
            );
        }
        println!(
            "\n| at half of the rate reached | p50 | p99 | p99/p50 | goal | of pgbench, likewise |\n| --- | --- | --- | --- | --- | --- |"
        );
        for row in &self.rows {
            println!(
                "| {} | {:.2} ms | {:.2} ms | {:.1} | ≤ 3 | {:.1} |",
                row.name,
                row.latency.0.as_secs_f64() * 1e3,
                row.latency.1.as_secs_f64() * 1e3,
                ratio(row.latency),
                ratio(row.floor_latency),
            );
        }
        println!("\n| what | measured | goal |\n| --- | --- | --- |");
        for (what, measured, goal) in &self.lines {
            println!("| {what} | {measured} | {goal} |");
        }
    }
}
