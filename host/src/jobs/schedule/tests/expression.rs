//! Tests the dates that an expression matches, and its description in words.

use chrono::{Days, NaiveDate, Weekday};
use croner::{
    Cron,
    parser::{CronParser, Seconds},
};

use super::schedule;

const CASES: &[(&str, &str)] = &[
    ("* * * * *", "Every minute"),
    ("* * * * * *", "Every second"),
    ("*/15 * * * *", "Every 15 minutes"),
    ("0-59/30 * * * *", "Every 30 minutes"),
    ("*/30 * * * * *", "Every 30 seconds"),
    ("30 * * * * *", "At second 30 of every minute"),
    ("*/10 5 * * * *", "Every 10 seconds of minute 5 of every hour"),
    // Not every 7 minutes: 4 minutes pass from 56 to 0.
    ("*/7 * * * *", "Every 7th minute from 0 to 56 of every hour"),
    ("0,5 * * * *", "At minutes 0 and 5 of every hour"),
    ("@hourly", "At minute 0 of every hour"),
    ("* 9 * * *", "Every minute of hour 9"),
    ("*/15 6-22 * * *", "Every 15 minutes of hours 6 to 22"),
    ("0 */2 * * *", "At minute 0 of every 2nd hour from 0 to 22"),
    ("@daily", "At 00:00"),
    ("0 6,18 * * *", "At 06:00 and 18:00"),
    ("15 30 6 * * *", "At 06:30:15"),
    ("0 3 * * 1", "At 03:00, on Monday"),
    ("0 3 * * MON-FRI", "At 03:00, on Monday to Friday"),
    ("0 3 * * 1,2,3,6", "At 03:00, on Monday, Tuesday, Wednesday and Saturday"),
    ("0 3 * * FRI-SUN", "At 03:00, on Sunday, Friday and Saturday"),
    ("0 3 1 * *", "At 03:00, on day 1 of the month"),
    ("0 3 1-5,10,20 * *", "At 03:00, on days 1 to 5, 10 and 20 of the month"),
    ("0 3 L * *", "At 03:00, on the last day of the month"),
    ("0 3 LW * *", "At 03:00, on the last weekday (Monday to Friday) of the month"),
    ("0 3 L,LW * *", "At 03:00, on the last day and the last weekday (Monday to Friday) of the month"),
    ("0 3 15W * *", "At 03:00, on the weekday (Monday to Friday) nearest to day 15 of the month"),
    ("0 3 * * 5L", "At 03:00, on the last Friday of the month"),
    ("0 3 * * MON#1", "At 03:00, on the 1st Monday of the month"),
    ("0 3 13 * 5", "At 03:00, on day 13 of the month and on every Friday"),
    ("0 3 13 * MON-FRI", "At 03:00, on day 13 of the month and on every day from Monday to Friday"),
    ("0 3 1-31 * 5", "At 03:00"),
    ("0 3 */2 * 1", "At 03:00, on every 2nd day from 1 to 31 of the month if it is a Monday"),
    ("0 3 1,2 * */3", "At 03:00, on days 1 and 2 of the month if it is a Sunday, Wednesday or Saturday"),
    ("0 3 * */5 *", "At 03:00, in January, June and November"),
    ("0 3 1 4-9 *", "At 03:00, on day 1 of the month, from April to September"),
];

#[test]
fn expressions_are_described_in_words() {
    for (expression, description) in CASES {
        assert_eq!(schedule(expression, "UTC").description(), *description, "{expression}");
    }
}

/// Returns the days of 2026 and 2027 on which the expression fires.
fn matching_days(expression: &str) -> Vec<NaiveDate> {
    let from = NaiveDate::from_ymd_opt(2025, 12, 31).unwrap().and_hms_opt(12, 0, 0).unwrap().and_utc();
    let schedule = schedule(expression, "UTC");
    let fired = std::iter::successors(schedule.next_after(from), |at| schedule.next_after(*at));
    fired.map(|at| at.date_naive()).take_while(|date| *date < NaiveDate::from_ymd_opt(2028, 1, 1).unwrap()).collect()
}

#[test]
fn both_day_fields_must_match_if_one_begins_with_a_star() {
    use chrono::Datelike;
    let all = || (0..730).map(|day| NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + Days::new(day));
    let check = |expression: &str, selects: fn(u32, Weekday) -> bool| {
        let expected: Vec<_> = all().filter(|date| selects(date.day(), date.weekday())).collect();
        assert_eq!(matching_days(expression), expected, "{expression}");
    };
    check("0 0 */2 * 1", |day, weekday| day % 2 == 1 && weekday == Weekday::Mon);
    check("0 0 1 * */2", |day, weekday| day == 1 && weekday.num_days_from_sunday() % 2 == 0);
    check("0 0 */3 * */2", |day, weekday| day % 3 == 1 && weekday.num_days_from_sunday() % 2 == 0);
    check("0 0 *,15 * 1", |_, weekday| weekday == Weekday::Mon);
    check("0 0 15 * */1", |day, _| day == 15);
    check("0 0 ? * MON", |_, weekday| weekday == Weekday::Mon);
    check("0 0 1 * ?", |day, _| day == 1);
    check("0 0 */2 * 1#1", |day, weekday| day % 2 == 1 && weekday == Weekday::Mon && day <= 7);
    // Fields that don't begin with a star.
    check("0 0 1-31/2 * 1", |day, weekday| day % 2 == 1 || weekday == Weekday::Mon);
    check("0 0 13 * 5", |day, weekday| day == 13 || weekday == Weekday::Fri);
    check("0 0 15,* * 1", |_, _| true);
    check("0 0 15 * 0-6", |_, _| true);
}

#[test]
fn dates_match_an_independent_implementation() {
    for expression in [
        "* * * * *",
        "*/7 3-5 * * *",
        "59 23 31 12 *",
        "0 0 29 2 *",
        "0 0 L * *",
        "0 0 LW * *",
        "0 0 15W,1W,31W * *",
        "0 0 * * 5L",
        "0 0 * * MON#1,3#5",
        "0 12 1-7 * MON",
        "0 0 * * SAT-SUN",
        "10,20 30 6,18 */10 2,4 *",
        "*/13 */13 */13 * * *",
    ] {
        let cron: Cron = CronParser::builder().seconds(Seconds::Optional).build().parse(expression).unwrap();
        let ours = super::Expression::parse(expression).unwrap();
        let start = NaiveDate::from_ymd_opt(2026, 1, 31).unwrap().and_hms_opt(23, 59, 59).unwrap();
        let (mut forward, mut backward) = (start, start);
        for _ in 0..300 {
            let next = ours.next_after(forward).unwrap();
            assert_eq!(Some(next), cron.find_next_occurrence(&forward, false).ok(), "{expression} after {forward}");
            let previous = ours.previous_before(backward).unwrap();
            let expected = cron.find_previous_occurrence(&backward, false).ok();
            assert_eq!(Some(previous), expected, "{expression} before {backward}");
            (forward, backward) = (next, previous);
        }
    }
}

#[test]
fn rare_dates_are_found() {
    // 29 February on a Sunday, once in 28 years.
    let next = schedule("0 0 29 2 */7", "UTC").next_after("2005-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(next, Some("2032-02-29T00:00:00Z".parse().unwrap()));
    let last = schedule("0 0 29 2 *", "UTC").next_after("2097-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(last, Some("2104-02-29T00:00:00Z".parse().unwrap()));
}
