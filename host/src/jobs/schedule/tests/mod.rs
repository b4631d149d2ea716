//! Fire times over clock changes and due runs; `expression` tests dates and descriptions.

use api_types::{CatchUp, RunTrigger};
use chrono::TimeDelta;

use super::{
    due::{DueRuns, due_runs},
    *,
};

mod expression;

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_utc()
}

fn schedule(expression: &str, zone: &str) -> Schedule {
    Schedule::parse(expression, zone).unwrap_or_else(|error| panic!("{expression} {zone}: {error}"))
}

/// Checks the fire times after `from`. They are local times with their offset.
fn check(zone: &str, expression: &str, from: &str, expected: &[&str]) {
    let schedule = schedule(expression, zone);
    let fired: Vec<String> = schedule
        .upcoming(at(from), expected.len())
        .iter()
        .map(|at| at.with_timezone(&schedule.zone).format("%d %H:%M%:z").to_string())
        .collect();
    assert_eq!(fired, expected, "{expression} in {zone} from {from}");
}

const BERLIN: &str = "Europe/Berlin";
const NEW_YORK: &str = "America/New_York";
const LORD_HOWE: &str = "Australia/Lord_Howe";
const CAIRO: &str = "Africa/Cairo";
const SANTIAGO: &str = "America/Santiago";

#[test]
fn missing_local_time_runs_once_at_the_next_valid_time() {
    // 2026-03-29 02:00 +01:00 becomes 03:00 +02:00.
    let from = "2026-03-28T12:00:00+01:00";
    check(BERLIN, "30 2 * * *", from, &["29 03:00+02:00", "30 02:30+02:00"]);
    check(BERLIN, "0 2 * * *", from, &["29 03:00+02:00", "30 02:00+02:00"]);
    check(BERLIN, "0 3 * * *", from, &["29 03:00+02:00", "30 03:00+02:00"]);
    check(BERLIN, "15,45 2 * * *", from, &["29 03:00+02:00", "30 02:15+02:00", "30 02:45+02:00"]);
    check(BERLIN, "30 1-3 * * *", from, &["29 01:30+01:00", "29 03:00+02:00", "29 03:30+02:00", "30 01:30+02:00"]);
    check(BERLIN, "59 59 1 * * *", from, &["29 01:59+01:00", "30 01:59+02:00"]);
    // 2026-03-08 02:00 -05:00 becomes 03:00 -04:00.
    check(NEW_YORK, "30 2 * * *", "2026-03-07T12:00:00-05:00", &["08 03:00-04:00", "09 02:30-04:00"]);
    // 2026-10-04 02:00 +10:30 becomes 02:30 +11:00.
    check(LORD_HOWE, "15 2 * * *", "2026-10-03T12:00:00+10:30", &["04 02:30+11:00", "05 02:15+11:00"]);
    check(LORD_HOWE, "45 2 * * *", "2026-10-03T12:00:00+10:30", &["04 02:45+11:00", "05 02:45+11:00"]);
    // 2026-04-24 00:00 +02:00 becomes 01:00 +03:00.
    check(CAIRO, "@daily", "2026-04-23T12:00:00+02:00", &["24 01:00+03:00", "25 00:00+03:00"]);
    check(CAIRO, "30 0 24 4 *", "2026-04-23T12:00:00+02:00", &["24 01:00+03:00", "24 00:30+02:00"]);
    // 2026-09-06 00:00 -04:00 becomes 01:00 -03:00.
    check(SANTIAGO, "@midnight", "2026-09-05T12:00:00-04:00", &["06 01:00-03:00", "07 00:00-03:00"]);
}

#[test]
fn repeated_fixed_local_time_runs_once() {
    // 2026-10-25 03:00 +02:00 becomes 02:00 +01:00.
    let from = "2026-10-24T12:00:00+02:00";
    check(BERLIN, "30 2 * * *", from, &["25 02:30+02:00", "26 02:30+01:00"]);
    check(BERLIN, "0 2 * * *", from, &["25 02:00+02:00", "26 02:00+01:00"]);
    check(BERLIN, "0 3 * * *", from, &["25 03:00+01:00", "26 03:00+01:00"]);
    check(
        BERLIN,
        "0,30 1-3 * * *",
        from,
        &[
            "25 01:00+02:00",
            "25 01:30+02:00",
            "25 02:00+02:00",
            "25 02:30+02:00",
            "25 03:00+01:00",
            "25 03:30+01:00",
            "26 01:00+01:00",
        ],
    );
    // The search starts after the run: once in the first pass of the repeated hour, and once in the second pass.
    check(BERLIN, "30 2 * * *", "2026-10-25T02:45:00+02:00", &["26 02:30+01:00"]);
    check(BERLIN, "30 2 * * *", "2026-10-25T02:15:00+01:00", &["26 02:30+01:00"]);
    // 2026-11-01 02:00 -04:00 becomes 01:00 -05:00.
    check(NEW_YORK, "30 1 * * *", "2026-10-31T12:00:00-04:00", &["01 01:30-04:00", "02 01:30-05:00"]);
    // 2026-04-05 02:00 +11:00 becomes 01:30 +10:30.
    check(LORD_HOWE, "45 1 * * *", "2026-04-04T12:00:00+11:00", &["05 01:45+11:00", "06 01:45+10:30"]);
    // 2026-10-30 00:00 +03:00 becomes 2026-10-29 23:00 +02:00.
    check(CAIRO, "30 23 * * *", "2026-10-29T12:00:00+03:00", &["29 23:30+03:00", "30 23:30+02:00"]);
    check(CAIRO, "@daily", "2026-10-29T12:00:00+03:00", &["30 00:00+02:00", "31 00:00+02:00"]);
    // 2026-04-05 00:00 -03:00 becomes 2026-04-04 23:00 -04:00.
    check(SANTIAGO, "0 23 * * *", "2026-04-04T12:00:00-03:00", &["04 23:00-03:00", "05 23:00-04:00"]);
}

#[test]
fn steps_and_wildcards_follow_elapsed_time() {
    const CHANGES: &[(&str, &str)] = &[
        (BERLIN, "2026-03-29T00:00:00+01:00"),
        (BERLIN, "2026-10-25T00:00:00+02:00"),
        (NEW_YORK, "2026-03-08T00:00:00-05:00"),
        (NEW_YORK, "2026-11-01T00:00:00-04:00"),
        (CAIRO, "2026-04-23T20:00:00+02:00"),
        (CAIRO, "2026-10-29T20:00:00+03:00"),
        (SANTIAGO, "2026-09-05T20:00:00-04:00"),
        (SANTIAGO, "2026-04-04T20:00:00-03:00"),
        (LORD_HOWE, "2026-10-04T00:00:00+10:30"),
        (LORD_HOWE, "2026-04-05T00:00:00+11:00"),
    ];
    for (zone, from) in CHANGES {
        for (expression, seconds) in
            [("*/15 * * * *", 900), ("* * * * *", 60), ("*/30 * * * * *", 30), ("*/10 * * * *", 600)]
        {
            let times = schedule(expression, zone).upcoming(at(from), 30_000 / seconds);
            for pair in times.windows(2) {
                assert_eq!((pair[1] - pair[0]).num_seconds(), seconds as i64, "{expression} in {zone} at {}", pair[0]);
            }
        }
        // A change by half an hour can't keep whole hours.
        if *zone != LORD_HOWE {
            for expression in ["0 * * * *", "@hourly", "30 */1 * * *"] {
                for pair in schedule(expression, zone).upcoming(at(from), 10).windows(2) {
                    assert_eq!((pair[1] - pair[0]).num_minutes(), 60, "{expression} in {zone} at {}", pair[0]);
                }
            }
        }
    }
}

#[test]
fn steps_of_hours_neither_pause_nor_repeat() {
    let spring = "2026-03-28T23:30:00+01:00";
    check(BERLIN, "0 */2 * * *", spring, &["29 00:00+01:00", "29 03:00+02:00", "29 04:00+02:00", "29 06:00+02:00"]);
    check(BERLIN, "0 */3 * * *", spring, &["29 00:00+01:00", "29 03:00+02:00", "29 06:00+02:00"]);
    let autumn = "2026-10-24T23:30:00+02:00";
    check(BERLIN, "0 */2 * * *", autumn, &["25 00:00+02:00", "25 02:00+02:00", "25 04:00+01:00", "25 06:00+01:00"]);
    check(
        BERLIN,
        "0,30 */2 * * *",
        autumn,
        &["25 00:00+02:00", "25 00:30+02:00", "25 02:00+02:00", "25 02:30+02:00", "25 04:00+01:00"],
    );
    check(
        BERLIN,
        "*/30 2 * * *",
        autumn,
        &["25 02:00+02:00", "25 02:30+02:00", "25 02:00+01:00", "25 02:30+01:00", "26 02:00+01:00"],
    );
    check(
        BERLIN,
        "0,30 * * * *",
        "2026-10-25T01:45:00+02:00",
        &["25 02:00+02:00", "25 02:30+02:00", "25 02:00+01:00", "25 02:30+01:00", "25 03:00+01:00"],
    );
    check(LORD_HOWE, "30 * * * *", "2026-04-05T01:00:00+11:00", &["05 01:30+11:00", "05 02:30+10:30"]);
    check(LORD_HOWE, "0 * * * *", "2026-10-04T00:30:00+10:30", &["04 01:00+10:30", "04 02:30+11:00", "04 03:00+11:00"]);
}

#[test]
fn fire_times_are_the_same_from_any_starting_point() {
    for (zone, from) in
        [(BERLIN, "2026-10-24T20:00:00Z"), (BERLIN, "2026-03-28T20:00:00Z"), (LORD_HOWE, "2026-04-04T10:00:00Z")]
    {
        for expression in ["*/15 * * * *", "30 2 * * *", "0 */2 * * *", "45 1 * * *", "0,20,40 1-3 * * *"] {
            let schedule = schedule(expression, zone);
            let whole = schedule.upcoming(at(from), 40);
            let (mut now, mut found) = (at(from), Vec::new());
            while now < whole[whole.len() - 1].min(at(from) + TimeDelta::hours(30)) {
                let next = schedule.next_after(now).unwrap();
                now += TimeDelta::seconds(97);
                if next <= now {
                    found.push(next);
                    assert!(schedule.next_after(next).unwrap() > next);
                }
            }
            assert_eq!(found, whole[..found.len()], "{expression} in {zone}");
            assert!(!found.is_empty());
        }
    }
}

#[test]
fn invalid_schedule_is_rejected_with_reason() {
    let check = |expression: &str, zone: &str, part: &str| {
        let error = Schedule::parse(expression, zone).map(drop).unwrap_err().to_string();
        assert!(error.contains(part), "{expression}: {error}");
    };
    check("", "UTC", "empty");
    check("* * * *", "UTC", "4 fields");
    check("0 0 0 1 1 * 2030", "UTC", "year");
    check("0 0 0 1 1 * 2030 x", "UTC", "8 fields");
    check("0 0 30 2 *", "UTC", "never fires");
    check("0 0 31 4,6,9,11 *", "UTC", "never fires");
    check("@reboot", "UTC", "@reboot");
    check("* * * * *", "Europe/Atlantis", "Europe/Atlantis");
    check("* * * * *", "+02:00", "+02:00");
    assert!(Schedule::parse("0 0 29 2 *", "UTC").is_ok());
}

fn due_at(expression: &str, until: &str, now: &str, catch_up: CatchUp) -> (Vec<(DateTime<Utc>, RunTrigger)>, DueRuns) {
    let due = due_runs(&schedule(expression, "UTC"), at(until), at(now), TimeDelta::seconds(10), catch_up);
    (due.fire_times.iter().map(|fire| (fire.at, fire.trigger)).collect(), due)
}

#[test]
fn due_fire_times_run_and_future_ones_do_not() {
    let (fired, due) = due_at("* * * * *", "2026-01-01T11:59:30Z", "2026-01-01T12:00:00Z", CatchUp::Once);
    assert_eq!(fired, [(at("2026-01-01T12:00:00Z"), RunTrigger::Schedule)]);
    assert_eq!(due.next_run_at, Some(at("2026-01-01T12:01:00Z")));
    let (fired, due) = due_at("* * * * *", "2026-01-01T12:00:00Z", "2026-01-01T12:00:59.9Z", CatchUp::Once);
    assert_eq!((fired.len(), due.scheduled_until), (0, at("2026-01-01T12:00:00Z")));
    // A scheduler that is slow for a moment does not skip fire times.
    let (fired, _) = due_at("* * * * * *", "2026-01-01T12:00:00Z", "2026-01-01T12:00:03.5Z", CatchUp::None);
    assert_eq!(fired.len(), 3);
    assert!(fired.iter().all(|(_, trigger)| *trigger == RunTrigger::Schedule));
}

#[test]
fn missed_fire_times_get_one_run_or_none() {
    let (until, now) = ("2026-01-01T00:00:00Z", "2026-01-03T12:30:00Z");
    let (fired, due) = due_at("0 * * * *", until, now, CatchUp::Once);
    assert_eq!(fired, [(at("2026-01-03T12:00:00Z"), RunTrigger::CatchUp)]);
    assert_eq!(due.scheduled_until, at("2026-01-03T12:00:00Z"));
    assert_eq!(due.next_run_at, Some(at("2026-01-03T13:00:00Z")));
    let (fired, due) = due_at("0 * * * *", until, now, CatchUp::None);
    assert_eq!((fired.len(), due.scheduled_until), (0, at("2026-01-03T12:00:00Z")));
    // A fire time that is on time runs in any case.
    let (fired, _) = due_at("0 * * * *", until, "2026-01-03T12:00:02Z", CatchUp::None);
    assert_eq!(fired, [(at("2026-01-03T12:00:00Z"), RunTrigger::Schedule)]);
    // A year of fire times, one per second, is computed quickly.
    let (fired, due) = due_at("* * * * * *", "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z", CatchUp::Once);
    assert_eq!(fired[0], (at("2025-12-31T23:59:50Z"), RunTrigger::CatchUp));
    assert_eq!((fired.len(), due.scheduled_until), (11, at("2026-01-01T00:00:00Z")));
}

#[test]
fn clock_jumps_neither_repeat_nor_skip_fire_times() {
    // Forward by a day: one run for all skipped fire times.
    let (fired, due_after) = due_at("0 3 * * *", "2026-01-01T03:00:00Z", "2026-01-02T18:00:00Z", CatchUp::Once);
    assert_eq!(fired, [(at("2026-01-02T03:00:00Z"), RunTrigger::CatchUp)]);
    // Back: nothing runs until the clock reaches its previous time again.
    let back = due_runs(
        &schedule("0 3 * * *", "UTC"),
        due_after.scheduled_until,
        at("2026-01-01T18:00:00Z"),
        TimeDelta::seconds(10),
        CatchUp::Once,
    );
    assert_eq!((back.fire_times.len(), back.next_run_at), (0, Some(at("2026-01-03T03:00:00Z"))));
    let again = due_runs(
        &schedule("0 3 * * *", "UTC"),
        back.scheduled_until,
        at("2026-01-02T03:00:01Z"),
        TimeDelta::seconds(10),
        CatchUp::Once,
    );
    assert_eq!(again.fire_times, []);
}

#[test]
fn invalid_field_is_named_with_its_values() {
    let check = |expression: &str, field: &str, text: &str, range: &str| {
        let error = Schedule::parse(expression, "UTC").map(drop).expect_err(expression).to_string();
        assert!(error.starts_with(&format!("`{text}` is not a valid {field} of")), "{expression}: {error}");
        assert!(error.contains(&format!("; supported: {range}")), "{expression}: {error}");
    };
    check("61 * * * *", "minute", "61", "0 to 59");
    check("60 * * * *", "minute", "60", "0 to 59");
    check("60 * * * * *", "second", "60", "0 to 59");
    check("0 60 * * * *", "minute", "60", "0 to 59");
    check("0 24 * * *", "hour", "24", "0 to 23");
    check("0 0 0 * *", "day of the month", "0", "1 to 31");
    check("0 0 32 * *", "day of the month", "32", "1 to 31");
    check("0 0 1 13 *", "month", "13", "1 to 12 or JAN");
    check("0 0 1 FOO *", "month", "FOO", "1 to 12 or JAN");
    check("0 0 * * 8", "weekday", "8", "0 to 7");
    check("0 0 * * MON-FOO", "weekday", "MON-FOO", "0 to 7");
    check("20-10 * * * *", "minute", "20-10", "0 to 59");
    check("*/0 * * * *", "minute", "*/0", "0 to 59");
    check("0/15 * * * *", "minute", "0/15", "0 to 59");
    check("1,,2 * * * *", "minute", "1,,2", "0 to 59");
    check("+5 * * * *", "minute", "+5", "0 to 59");
    check("? * * * *", "minute", "?", "0 to 59");
    check("0 0 L-3 * *", "day of the month", "L-3", "1 to 31");
    check("0 0 1-5W * *", "day of the month", "1-5W", "1 to 31");
    check("0 0 32W * *", "day of the month", "32W", "1 to 31");
    check("0 0 * * L", "weekday", "L", "0 to 7");
    check("0 0 15 * L,1", "weekday", "L,1", "0 to 7");
    check("0 0 * * MON#6", "weekday", "MON#6", "0 to 7");
    check("0 0 * * FRI-MON", "weekday", "FRI-MON", "0 to 7");
    check("0 0 1 JANFEB *", "month", "JANFEB", "1 to 12");
    check("a b c d e", "minute", "a", "0 to 59");
    check("5 -1 * * *", "hour", "-1", "0 to 23");
    // Of several invalid fields, the first is named.
    check("61 25 * * *", "minute", "61", "0 to 59");
}

#[test]
fn documented_field_values_are_valid() {
    for expression in [
        "0,30 10-20 */15 * * *",
        "0 6,18 1,15 4-9 MON-FRI",
        "0 9-17 L JAN,DEC *",
        "0 */2 1-7 */3 MON#1",
        "0 0 * * 5L",
        "0 0 * * 7",
        "0 0 L,LW,15W * ?",
    ] {
        schedule(expression, "UTC");
    }
}

#[test]
fn step_beyond_its_range_is_rejected() {
    let check = |expression: &str, field: &str, max: u32| {
        let error = Schedule::parse(expression, "UTC").map(drop).expect_err(expression).to_string();
        assert!(error.contains(&format!("valid {field} of")), "{expression}: {error}");
        assert!(error.ends_with(&format!("use at most {max}")), "{expression}: {error}");
    };
    check("*/60 * * * *", "minute", 59);
    check("*/90 * * * *", "minute", 59);
    check("0,*/4294967295 * * * *", "minute", 59);
    check("*/60 * * * * *", "second", 59);
    check("0 */24 * * *", "hour", 23);
    check("0 0 */32 * *", "day of the month", 31);
    check("0 0 1 */13 *", "month", 12);
    check("0 0 * * */8", "weekday", 7);
    check("10-20/15 * * * *", "minute", 10);
    check("0 0 * * MON-FRI/5", "weekday", 4);
    for expression in ["*/59 * * * *", "0 */23 * * *", "0 0 */31 */12 */7", "10-20/10 * * * *", "5-5/1 * * * *"] {
        schedule(expression, "UTC");
    }
}
