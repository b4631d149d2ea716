//! Tables and numbers in the documents that come from the code. With `ATLASHUB_WRITE_DOCS=1` the tests update them.

use std::{fmt::Write as _, fs};

use atlashub::{
    app::other_connections,
    config::{Config, Role, VARIABLES, Vars},
    error::TABLE,
    jobs::Schedule,
};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Europe::Berlin;

use crate::docs::markdown::{read_document as read, workspace_root};

#[test]
fn configuration_lists_every_variable() {
    let mut table = String::from("| variable | default | meaning |\n| --- | --- | --- |\n");
    for variable in VARIABLES {
        let file = if variable.secret { "<br>or `…_FILE`" } else { "" };
        let default = if variable.default.is_empty() { String::new() } else { format!("`{}`", variable.default) };
        writeln!(table, "| `{}`{file} | {default} | {} |", variable.name, variable.meaning).unwrap();
    }
    check_or_write_table("docs/CONFIGURATION.md", &table);
}

#[test]
fn documents_state_the_numbers_of_connections_of_the_code() {
    let config = Config::from_vars(&Vars::from_pairs([("ATLASHUB_ENV", "development")]), Role::All).unwrap();
    let gateway = other_connections(&Config { role: Role::Gateway, ..config.clone() });
    let jobs = other_connections(&config) - gateway;
    for document in ["docs/CONFIGURATION.md", "docs/OPERATIONS.md"] {
        let text = read(document).split_whitespace().collect::<Vec<_>>().join(" ");
        for number in [format!("about {gateway} "), format!("about {jobs} more for each process that runs jobs")] {
            assert!(text.contains(&number), "{document}: {number}");
        }
    }
}

#[test]
fn errors_lists_every_code() {
    let mut table = String::from("| status | code | meaning |\n| --- | --- | --- |\n");
    for row in TABLE {
        writeln!(table, "| {} | `{}` | {} |", row.status, row.code.as_str(), row.meaning).unwrap();
    }
    check_or_write_table("docs/ERRORS.md", &table);
}

/// Lines of a crontab, each with the times at which Debian's cron runs it in the three hours around the change forward
/// and the change back.
///
/// Recorded from the loop of `cron.c` of Debian's package `cron` 3.0pl1-162, compiled with a simulated clock.
const DEBIAN_CRON: &[(&str, &str, &str)] = &[
    ("30 2 * * *", "03:00", "02:30a"),
    ("0,30 2 * * *", "03:00 03:00", "02:00a 02:30a"),
    ("0-59/30 2 * * *", "03:00 03:00", "02:00a 02:30a"),
    ("*/30 2 * * *", "", "02:00a 02:30a 02:00b 02:30b"),
    ("30 1-3 * * *", "01:30 03:00 03:30", "01:30 02:30a 03:30"),
    ("0 3 * * *", "03:00", "03:00"),
    ("*/30 * * * *", "01:30 03:00 03:30 04:00", "01:30 02:00a 02:30a 02:00b 02:30b 03:00 03:30 04:00"),
    ("30 * * * *", "01:30 03:30", "01:30 02:30a 02:30b 03:30"),
    ("0 */2 * * *", "04:00", "02:00a 02:00b 04:00"),
    ("30 */2 * * *", "", "02:30a 02:30b"),
    ("0 0-23/2 * * *", "03:00 04:00", "02:00a 04:00"),
    ("0 1-23/2 * * *", "03:00", "03:00"),
];

#[test]
fn operations_lists_fire_times_over_clock_changes() {
    let mut table = String::from(
        "| line | forward: AtlasHub | forward: Debian | back: AtlasHub | back: Debian |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for (line, debian_forward, debian_back) in DEBIAN_CRON {
        let schedule = Schedule::parse(line, "Europe/Berlin").unwrap();
        let forward = fire_times(&schedule, "2026-03-29T00:15:00Z");
        let back = fire_times(&schedule, "2026-10-24T23:15:00Z");
        let cells =
            [&forward, *debian_forward, &back, *debian_back].map(|times| if times.is_empty() { "–" } else { times });
        writeln!(table, "| `{line}` | {} |", cells.join(" | ")).unwrap();
    }
    check_or_write_table("docs/OPERATIONS.md", &table);
}

/// Returns the local fire times from 01:15 to 04:15; `a` and `b` mark the two passes of the repeated hour.
fn fire_times(schedule: &Schedule, from: &str) -> String {
    let from: DateTime<Utc> = from.parse().unwrap();
    let until = from.with_timezone(&Berlin).date_naive().and_hms_opt(4, 15, 0).unwrap();
    let local = schedule.upcoming(from, 12).into_iter().map(|at| (at, at.with_timezone(&Berlin).naive_local()));
    let shown = local.take_while(|(_, local)| *local <= until).map(|(at, local)| {
        let repeated = |other: DateTime<Utc>| other.with_timezone(&Berlin).naive_local() == local;
        let pass = if repeated(at + TimeDelta::hours(1)) {
            "a"
        } else if repeated(at - TimeDelta::hours(1)) {
            "b"
        } else {
            ""
        };
        format!("{}{pass}", local.format("%H:%M"))
    });
    shown.collect::<Vec<_>>().join(" ")
}

const START: &str = "<!-- table: written by the test `docs::tables` -->\n";
const END: &str = "<!-- end of table -->\n";

fn check_or_write_table(document: &str, table: &str) {
    let text = read(document);
    let (head, rest) = text.split_once(START).unwrap_or_else(|| panic!("{document} has no line {START}"));
    let (current, tail) = rest.split_once(END).unwrap_or_else(|| panic!("{document} has no line {END}"));
    if std::env::var_os("ATLASHUB_WRITE_DOCS").is_some() {
        fs::write(workspace_root().join(document), format!("{head}{START}{table}{END}{tail}")).unwrap();
    } else {
        assert_eq!(
            current, table,
            "{document} is out of date; update it with: ATLASHUB_WRITE_DOCS=1 cargo test --test it docs::tables"
        );
    }
}
