//! Prints the results as Markdown tables, the source of the tables in `docs/PERFORMANCE.md`.

use std::time::Duration;

use crate::{
    backup::Figures,
    cancel,
    jobs::{self, Lateness},
    logins, paired,
    plugins::PluginFigures,
    restores,
    statistics::ratio,
    transfers,
};

/// Results of one kind of request.
pub struct Row {
    pub name: &'static str,
    /// Requests per second of pgbench.
    pub baseline: f64,
    /// Minimum acceptable share of `baseline`.
    pub baseline_goal: Option<f64>,
    /// Requests per second of AtlasHub.
    pub atlashub: f64,
    /// Requests per second of PostgREST.
    pub peer: Option<f64>,
    /// Minimum acceptable multiple of `peer`.
    pub peer_goal: Option<f64>,
    /// p50 and p99 at half of the rate `atlashub`.
    pub latency: (Duration, Duration),
    /// p50 and p99 of pgbench at half of the rate `baseline`.
    pub baseline_latency: (Duration, Duration),
}

/// The collected results of all cases.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
    lines: Vec<(&'static str, String, &'static str)>,
    /// Lines about end-user login: figure, measured value, goal.
    login_lines: Vec<(String, String, &'static str)>,
    /// Rows of the table of exports and imports.
    transfer_rows: Vec<String>,
    /// Rows of the table that compares this build with an older one.
    paired_rows: Vec<String>,
}

impl Report {
    pub fn add_case(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub fn add_start(&mut self, ready_after: Duration, memory_kib: u64) {
        self.lines.push(("start to ready, Postgres running", format!("{} ms", ready_after.as_millis()), "≤ 1 s"));
        self.lines.push((
            "idle memory with the first-party plugins loaded",
            format!("{:.1} MiB", memory_kib as f64 / 1024.0),
            "≤ 60 MiB",
        ));
    }

    pub fn add_paired(&mut self, cases: &[paired::Figures]) {
        self.paired_rows.extend(cases.iter().map(|case| {
            format!(
                "| {} | {:.0}/s | {:.0}/s | {:.2} ms | {:.2} ms |",
                case.name,
                case.old_rate,
                case.new_rate,
                case.old_p99.as_secs_f64() * 1e3,
                case.new_p99.as_secs_f64() * 1e3,
            )
        }));
    }

    pub fn add_presign(&mut self, per_second: f64) {
        self.lines.push(("presigned uploads, one core", format!("{per_second:.0}/s"), "≥ 20 000/s"));
    }

    pub fn add_backup(&mut self, figures: &Figures) {
        let ratio = figures.plugin.as_secs_f64() / figures.pg_dump.as_secs_f64();
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        self.lines.push((
            "backup of 1 GB, `pg_dump -Fc` piped to an upload",
            format!(
                "{:.1} s ({:.0} MB, dump {:.0} MB)",
                figures.pg_dump.as_secs_f64(),
                megabytes(figures.database_bytes),
                megabytes(figures.dump_bytes)
            ),
            "–",
        ));
        self.lines.push((
            "backup of 1 GB, through the plugin",
            format!("{:.1} s, {ratio:.3} × `pg_dump -Fc` piped to an upload", figures.plugin.as_secs_f64()),
            "≤ 1.05 ×",
        ));
        self.lines.push((
            "peak memory added by a backup",
            format!("{:.1} MiB", figures.growth_kib as f64 / 1024.0),
            "≤ 32 MiB",
        ));
    }

    pub fn add_restore(&mut self, figures: &restores::Figures) {
        let restores::Figures { archive_bytes, pg_restore, restore, growth_kib, longest_wait, requests, refused } =
            figures;
        let ratio = restore.as_secs_f64() / pg_restore.as_secs_f64();
        self.lines.extend([
            (
                "`pg_restore` of the same archive from a local file",
                format!("{:.1} s ({:.0} MB)", pg_restore.as_secs_f64(), *archive_bytes as f64 / 1e6),
                "–",
            ),
            ("restore of 1 GB", format!("{:.1} s, {ratio:.3} × `pg_restore`", restore.as_secs_f64()), "≤ 1.1 ×"),
            ("peak memory added by a restore", format!("{:.1} MiB", *growth_kib as f64 / 1024.0), "≤ 32 MiB"),
            (
                "longest wait of a request during a restore and its swap",
                format!("{:.0} ms ({requests} requests, {refused} refused)", longest_wait.as_secs_f64() * 1e3),
                "≤ 2 s",
            ),
        ]);
    }

    pub fn add_transfers(&mut self, figures: &transfers::Figures) {
        let transfers::Figures { rows, file_bytes, comparisons } = figures;
        self.transfer_rows.extend(comparisons.iter().map(|comparison| {
            let transfers::Comparison { name, baseline, psql, plugin, growth_kib } = comparison;
            format!(
                "| {name}, {rows} rows, {:.0} MB | {baseline}: {:.2} s | {:.2} s | {:.2} × | {:.1} MiB |",
                *file_bytes as f64 / 1e6,
                psql.as_secs_f64(),
                plugin.as_secs_f64(),
                plugin.as_secs_f64() / psql.as_secs_f64(),
                *growth_kib as f64 / 1024.0,
            )
        }));
    }

    pub fn add_due_jobs(&mut self, figures: &jobs::Figures) {
        let text = |Lateness { p50_ms, p99_ms, per_second }| {
            format!("p50 {p50_ms:.0} ms, p99 {p99_ms:.0} ms, {per_second:.0}/s")
        };
        self.lines.extend([
            ("1 000 jobs due at once, component that does nothing: lateness", text(figures.nothing), "p99 ≤ 250 ms"),
            ("1 000 jobs due at once, component that queries Postgres: lateness", text(figures.status), "–"),
        ]);
    }

    pub fn add_logins(&mut self, figures: &logins::Figures) {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let logins::Storm { without, with, logins_per_second } = &figures.storm;
        let logins::Reads { secret_key, one_session, many_sessions } = figures.reads;
        let share = |rate: f64| {
            format!("{rate:.0}/s, {:.0} % of {secret_key:.0}/s with the secret key", rate / secret_key * 100.0)
        };
        self.login_lines.extend([
            (
                "p99 of a read by key during a storm of logins".to_owned(),
                format!(
                    "{:.2} ms, {:.1} × {:.2} ms without ({logins_per_second:.0} logins/s)",
                    ms(*with),
                    ms(*with) / ms(*without),
                    ms(*without)
                ),
                "≤ 2 ×",
            ),
            ("signed-in reads by key, one session".to_owned(), share(one_session), "≥ 70 %"),
            ("signed-in reads by key, each in another session".to_owned(), share(many_sessions), "≥ 70 %"),
        ]);
        for logins::Sizes { name, few, many, goal } in &figures.sizes {
            self.login_lines.push((
                format!("{name}, 100 000 users and 1 million expired tokens"),
                format!("{:.2} ms, {:.2} × {:.2} ms with ten users", ms(*many), ms(*many) / ms(*few), ms(*few)),
                *goal,
            ));
        }
        for logins::Timing { name, known, unknown, z } in &figures.timings {
            self.login_lines.push((
                format!("{name}: known and unknown account"),
                format!("{:.2} ms and {:.2} ms, z = {z:.2}", ms(*known), ms(*unknown)),
                "−1.96 ≤ z ≤ 1.96",
            ));
        }
    }

    pub fn add_plugins(&mut self, figures: &PluginFigures) {
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
                "idle ≤ 60 MiB in total",
            ),
        ]);
    }

    pub fn add_cancel(&mut self, figures: &cancel::Figures) {
        let text = format!(
            "median {:.1} ms, longest {:.1} ms",
            figures.median.as_secs_f64() * 1e3,
            figures.longest.as_secs_f64() * 1e3
        );
        self.lines.push(("time from cancelling a run until it ends", text, "≤ 100 ms"));
    }

    pub fn add_memory_after(&mut self, memory_kib: u64) {
        self.lines.push(("memory after the load", format!("{:.1} MiB", memory_kib as f64 / 1024.0), "≤ 70 MiB"));
    }

    pub fn print(&self) {
        println!("| request | baseline (pgbench) | AtlasHub | of the baseline | goal | PostgREST | ratio | goal |");
        println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
        for row in &self.rows {
            let (peer, times) = match row.peer {
                Some(peer) => (format!("{peer:.0}/s"), format!("{:.1} ×", row.atlashub / peer)),
                None => ("–".to_owned(), "–".to_owned()),
            };
            let goal = |goal: Option<f64>, unit: &str, factor: f64| match goal {
                Some(goal) => format!("≥ {} {unit}", goal * factor),
                None => "–".to_owned(),
            };
            println!(
                "| {} | {:.0}/s | {:.0}/s | {:.0} % | {} | {peer} | {times} | {} |",
                row.name,
                row.baseline,
                row.atlashub,
                row.atlashub / row.baseline * 100.0,
                goal(row.baseline_goal, "%", 100.0),
                goal(row.peer_goal, "×", 1.0),
            );
        }
        println!(
            "\n| at half of the rate reached | p50 | p99 | p99/p50 | goal: p99/p50 of pgbench |\n\
             | --- | --- | --- | --- | --- |"
        );
        for row in &self.rows {
            println!(
                "| {} | {:.2} ms | {:.2} ms | {:.1} | ≤ {:.1} |",
                row.name,
                row.latency.0.as_secs_f64() * 1e3,
                row.latency.1.as_secs_f64() * 1e3,
                ratio(row.latency),
                ratio(row.baseline_latency),
            );
        }
        if !self.paired_rows.is_empty() {
            println!(
                "\n| request | older build | this build | p99 of the older build at half of its rate \
                 | p99 of this build at the same rate |"
            );
            println!("| --- | --- | --- | --- | --- |");
            self.paired_rows.iter().for_each(|row| println!("{row}"));
        }
        if !self.transfer_rows.is_empty() {
            println!("\n| transfer | `psql` | AtlasHub | ratio, goal ≤ 1.2 × | memory added, goal ≤ 32 MiB |");
            println!("| --- | --- | --- | --- | --- |");
            self.transfer_rows.iter().for_each(|row| println!("{row}"));
        }
        println!("\n| figure | measured | goal |\n| --- | --- | --- |");
        for (figure, measured, goal) in &self.lines {
            println!("| {figure} | {measured} | {goal} |");
        }
        for (figure, measured, goal) in &self.login_lines {
            println!("| {figure} | {measured} | {goal} |");
        }
    }
}
