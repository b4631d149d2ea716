//! Describes an expression in words. The words describe the matching times, not the notation.

use super::{
    expression::Expression,
    field::{Days, Values, WEEK, Weekdays, contains},
};

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WORKDAYS: &str = "(Monday to Friday)";
/// Maximum number of times of day that are listed one by one.
const MAX_LISTED_TIMES: usize = 4;
/// Minimum number of evenly spaced values that are described by their distance.
const MIN_SPACED_VALUES: usize = 4;

/// A unit of time of day.
#[derive(Clone, Copy)]
struct Unit {
    name: &'static str,
    /// Number of values.
    size: u32,
}

const SECOND: Unit = Unit { name: "second", size: 60 };
const MINUTE: Unit = Unit { name: "minute", size: 60 };
const HOUR: Unit = Unit { name: "hour", size: 24 };

/// Describes an expression, for example `At 03:00, on Monday, in January`.
pub(super) fn describe(expression: &Expression) -> String {
    let parts = [time(expression), days(&expression.days, &expression.weekdays), months(expression.months)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

fn time(expression: &Expression) -> String {
    if let Some(times) = times_of_day(expression) {
        return format!("At {}", list(&times));
    }
    let mut units = vec![(MINUTE, expression.minutes), (HOUR, expression.hours)];
    if expression.seconds != 1 {
        units.insert(0, (SECOND, expression.seconds));
    }
    // `of every hour` adds nothing to `every 15 minutes`.
    while let [.., (inner, values), (unit, all)] = units.as_slice()
        && is_all(*unit, *all)
        && evenly(*inner, *values).is_some()
    {
        units.pop();
    }
    let (unit, values) = units[0];
    let first = evenly(unit, values).unwrap_or_else(|| match selected(unit, values).strip_prefix("every") {
        Some(spaced) => format!("Every{spaced}"),
        None => format!("At {}", selected(unit, values)),
    });
    let rest = units[1..].iter().map(|(unit, values)| format!(" of {}", selected(*unit, *values)));
    std::iter::once(first).chain(rest).collect()
}

/// Returns the times of day if there are at most [`MAX_LISTED_TIMES`].
fn times_of_day(expression: &Expression) -> Option<Vec<String>> {
    let (hours, minutes, seconds) = (values(expression.hours), values(expression.minutes), values(expression.seconds));
    if hours.len() * minutes.len() * seconds.len() > MAX_LISTED_TIMES {
        return None;
    }
    let mut times = Vec::new();
    for hour in &hours {
        for minute in &minutes {
            times.extend(seconds.iter().map(|second| match second {
                0 if expression.seconds == 1 => format!("{hour:02}:{minute:02}"),
                _ => format!("{hour:02}:{minute:02}:{second:02}"),
            }));
        }
    }
    Some(times)
}

/// Describes the multiples of a number that divides the size of the unit, for example `Every 15 minutes`. Returns
/// `None` for all other values.
fn evenly(unit: Unit, selected: Values) -> Option<String> {
    let count = selected.count_ones();
    if count == unit.size {
        return Some(format!("Every {}", unit.name));
    }
    let distance = (count > 1 && unit.size.is_multiple_of(count)).then(|| unit.size / count)?;
    let is_even = (0..count).all(|index| contains(selected, index * distance));
    is_even.then(|| format!("Every {distance} {}s", unit.name))
}

/// Describes selected values, for example `minute 5`, `minutes 0 and 30`, `every 2nd hour from 1 to 23`.
fn selected(unit: Unit, selected: Values) -> String {
    let name = unit.name;
    if is_all(unit, selected) {
        return format!("every {name}");
    }
    let values = values(selected);
    match (values.as_slice(), distance(selected)) {
        ([value], _) => format!("{name} {value}"),
        ([first, .., last], Some(1)) => format!("{name}s {first} to {last}"),
        ([first, .., last], Some(distance)) => format!("every {} {name} from {first} to {last}", ordinal(distance)),
        (values, _) => format!("{name}s {}", list(&ranges(values))),
    }
}

fn days(days: &Days, weekdays: &Weekdays) -> String {
    let every_day = values(days.values).len() == 31;
    let every_weekday = weekdays.values == WEEK;
    let both = days.starred || weekdays.starred;
    match (every_day, every_weekday) {
        (true, true) => String::new(),
        // A day matches if either field selects it, and one of them selects every day.
        (true, false) | (false, true) if !both => String::new(),
        (true, false) => format!("on {}", weekdays_in_words(weekdays, "", "and")),
        (false, true) => format!("on {}", days_in_words(days)),
        (false, false) if both => {
            format!("on {} if it is {}", days_in_words(days), weekdays_in_words(weekdays, "a ", "or"))
        }
        (false, false) => format!("on {} and on {}", days_in_words(days), weekdays_in_words(weekdays, "every ", "and")),
    }
}

fn days_in_words(days: &Days) -> String {
    let mut parts = Vec::new();
    let numbers = values(days.values);
    match (numbers.as_slice(), distance(days.values)) {
        ([], _) => {}
        ([day], _) => parts.push(format!("day {day}")),
        ([first, .., last], Some(1)) => parts.push(format!("days {first} to {last}")),
        ([first, .., last], Some(distance)) => {
            parts.push(format!("every {} day from {first} to {last}", ordinal(distance)));
        }
        (days, _) => parts.push(format!("days {}", list(&ranges(days)))),
    }
    if days.last {
        parts.push("the last day".to_owned());
    }
    if days.last_workday {
        parts.push(format!("the last weekday {WORKDAYS}"));
    }
    let near: Vec<String> = values(days.nearest_workdays).iter().map(u32::to_string).collect();
    if !near.is_empty() {
        parts.push(format!("the weekday {WORKDAYS} nearest to day {}", list(&near)));
    }
    format!("{} of the month", list(&parts))
}

/// Describes the weekdays. `article` precedes weekdays without an ordinal, as in `a Monday`.
fn weekdays_in_words(weekdays: &Weekdays, article: &str, conjunction: &str) -> String {
    let names = |selected: Values| {
        let names: Vec<&str> = values(selected).iter().map(|day| WEEKDAYS[*day as usize]).collect();
        join(&names, conjunction)
    };
    let mut parts = Vec::new();
    match (values(weekdays.values).as_slice(), distance(weekdays.values)) {
        ([], _) => {}
        ([first, .., last], Some(1)) => {
            let day = if article.is_empty() { String::new() } else { format!("{article}day from ") };
            parts.push(format!("{day}{} to {}", WEEKDAYS[*first as usize], WEEKDAYS[*last as usize]));
        }
        _ => parts.push(format!("{article}{}", names(weekdays.values))),
    }
    for (index, nth) in weekdays.nth.iter().enumerate().filter(|(_, nth)| **nth != 0) {
        parts.push(format!("the {} {} of the month", ordinal(index as u32 + 1), names(*nth)));
    }
    if weekdays.last != 0 {
        parts.push(format!("the last {} of the month", names(weekdays.last)));
    }
    join(&parts, conjunction)
}

fn months(selected: Values) -> String {
    let months = values(selected);
    if months.len() == 12 {
        return String::new();
    }
    let name = |month: &u32| MONTHS[*month as usize - 1];
    match (months.as_slice(), distance(selected)) {
        ([first, .., last], Some(1)) => format!("from {} to {}", name(first), name(last)),
        (months, _) => format!("in {}", list(&months.iter().map(name).collect::<Vec<_>>())),
    }
}

/// Returns the selected values, smallest first.
fn values(selected: Values) -> Vec<u32> {
    (0..Values::BITS).filter(|value| contains(selected, *value)).collect()
}

fn is_all(unit: Unit, selected: Values) -> bool {
    selected.count_ones() == unit.size
}

/// Returns the distance between neighbouring values, if the distance is always the same and there are enough values for
/// such a description.
fn distance(selected: Values) -> Option<u32> {
    let values = values(selected);
    let (first, second) = (values.first()?, values.get(1)?);
    let distance = second - first;
    let enough = if distance == 1 { values.len() > 2 } else { values.len() >= MIN_SPACED_VALUES };
    (enough && values.windows(2).all(|pair| pair[1] - pair[0] == distance)).then_some(distance)
}

/// Returns the values in words, with three or more consecutive values as a range: `1 to 5`, `8`.
fn ranges(values: &[u32]) -> Vec<String> {
    let runs = values.chunk_by(|left, right| left + 1 == *right);
    runs.flat_map(|run| match run {
        [first, _, .., last] => vec![format!("{first} to {last}")],
        run => run.iter().map(u32::to_string).collect(),
    })
    .collect()
}

fn list<T: AsRef<str>>(items: &[T]) -> String {
    join(items, "and")
}

/// Joins items: `a`, `a and b`, `a, b and c`.
fn join<T: AsRef<str>>(items: &[T], conjunction: &str) -> String {
    match items {
        [] => String::new(),
        [item] => item.as_ref().to_owned(),
        [start @ .., last] => {
            let start: Vec<&str> = start.iter().map(AsRef::as_ref).collect();
            format!("{} {conjunction} {}", start.join(", "), last.as_ref())
        }
    }
}

fn ordinal(number: u32) -> String {
    let suffix = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}
