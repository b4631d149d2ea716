//! The fields for the schedule and the time zone of a job, and the list of its next five times.

use chrono::{DateTime, Duration, Utc};
use dioxus::prelude::*;
use wasm_bindgen::JsCast as _;

use super::{super::words::city, Form, fields::FieldError};
use crate::{
    text,
    ui::{Mark, RequiredMark, Shape},
};

const PRESETS: [(&str, &str); 5] = [
    ("Every 15 minutes", "*/15 * * * *"),
    ("Hourly", "0 * * * *"),
    ("Daily", "0 3 * * *"),
    ("Weekly", "0 3 * * 1"),
    ("Monthly", "0 3 1 * *"),
];

/// The schedule and its time zone, in words and with the next five times.
#[component]
pub(super) fn ScheduleFields(form: Form) -> Element {
    let zones = use_hook(timezones);
    let (schedule, timezone) = {
        let draft = form.draft.read();
        (draft.schedule.clone(), draft.timezone.clone())
    };
    let error = form.error("scheduleCron");
    let zone_error = form.error("timezone");
    let is_known = zones.iter().any(|zone| zone.id == timezone);
    rsx! {
        div { class: "field",
            label { r#for: "job-scheduleCron",
                "Schedule"
                RequiredMark {}
            }
            div { class: "row rows-phone",
                input {
                    id: "job-scheduleCron",
                    class: "input mono schedule",
                    autocomplete: "off",
                    spellcheck: "false",
                    placeholder: "0 3 * * 1",
                    value: "{schedule}",
                    "aria-required": "true",
                    "aria-invalid": if error.is_some() { "true" },
                    "aria-describedby": "job-scheduleCron-error job-schedule-words",
                    oninput: move |event| form.change(|draft| draft.schedule = event.value()),
                    onblur: move |_| form.leave("scheduleCron"),
                }
                label { class: "input select select-native grow",
                    span { class: "what", "aria-hidden": "true", "Time zone" }
                    select {
                        "aria-label": "Time zone",
                        "aria-invalid": if zone_error.is_some() { "true" },
                        onchange: move |event| form.change(|draft| draft.timezone = event.value()),
                        if !is_known {
                            option { value: "{timezone}", selected: true, "{timezone}" }
                        }
                        for zones in zones.chunk_by(|zone, next| zone.region == next.region) {
                            match zones.first().map(|zone| zone.region.as_str()) {
                                None | Some("") => zone_options(zones, &timezone),
                                Some(region) => rsx! {
                                    optgroup { label: "{region}", {zone_options(zones, &timezone)} }
                                },
                            }
                        }
                    }
                }
            }
            FieldError { id: "job-scheduleCron", error: error.clone().or(zone_error.clone()) }
            div { class: "presets",
                for (label, expression) in PRESETS {
                    button {
                        key: "{label}",
                        class: "chip",
                        r#type: "button",
                        "aria-pressed": (schedule.trim() == expression).to_string(),
                        // Keeps the focus in the field. When a field loses the focus, its error appears, and would
                        // move the button away before the click ends.
                        onmousedown: |event| event.prevent_default(),
                        onclick: move |_| form.change(|draft| draft.schedule = expression.to_owned()),
                        "{label}"
                    }
                }
            }
        }
        NextTimes { form, timezone }
    }
}

fn zone_options(zones: &[Zone], chosen: &str) -> Element {
    rsx! {
        for zone in zones {
            option { key: "{zone.id}", value: "{zone.id}", selected: zone.id == chosen, "{zone.place}" }
        }
    }
}

#[component]
fn NextTimes(form: Form, timezone: String) -> Element {
    let checked = form.checked.read().clone();
    let words = checked.description.unwrap_or_default();
    let is_typed = !form.draft.read().schedule.trim().is_empty();
    let request = match (is_typed, checked.errors.contains_key("scheduleCron")) {
        (false, _) => "Enter a schedule to see its next times.",
        (true, true) => "This is not a valid schedule yet.",
        (true, false) => "The schedule has not been checked yet.",
    };
    rsx! {
        div { class: if words.is_empty() { "items next-times is-empty" } else { "items next-times" },
            p { role: "status", id: "job-schedule-words", class: "strong",
                if words.is_empty() {
                    span { class: "muted", "{request}" }
                } else {
                    "{words}"
                }
            }
            if !checked.next.is_empty() {
                FiveTimes { times: checked.next, timezone }
            }
        }
    }
}

/// The list "Next five times", in the job's time zone, and in the browser's time zone if that differs.
#[component]
pub(in crate::pages::jobs) fn FiveTimes(
    times: Vec<DateTime<Utc>>,
    timezone: String,
    /// Whether the list shows its title. False if a heading around it does.
    #[props(default = true)]
    has_title: bool,
) -> Element {
    let here = text::browser_timezone();
    let differs = here != timezone;
    let mut before = text::now();
    let mut rows = Vec::new();
    for time in times {
        rows.push((time, clock_change(before, time, &timezone)));
        before = time;
    }
    rsx! {
        div { class: "times-head label muted", "aria-hidden": "true",
            span { if has_title { "Next five times" } }
            span { class: "num", {city(&timezone)} }
            if differs {
                span { class: "num", "You, {city(&here)}" }
            }
        }
        ol { class: "times", "aria-label": "Next five times",
            for (time, change) in rows {
                li { key: "{time}",
                    span { {text::weekday_and_date(time, Some(&timezone))} }
                    span { class: "num", {text::time_of_day(time, Some(&timezone))} }
                    if differs {
                        span {
                            class: "num muted",
                            title: text::date_and_time(time, Some(&here)),
                            {text::time_of_day(time, Some(&here))}
                        }
                    }
                    if let Some(day) = change {
                        span {
                            class: "badge change", Mark { shape: Shape::Attention }
                            "Clocks in {city(&timezone)} change on {day}"
                        }
                    }
                }
            }
        }
    }
}

/// Returns the day on which the clocks of a time zone change between two times.
fn clock_change(from: DateTime<Utc>, to: DateTime<Utc>, timezone: &str) -> Option<String> {
    let offset = text::utc_offset(from, timezone);
    if offset == text::utc_offset(to, timezone) {
        return None;
    }
    let (mut before, mut after) = (from, to);
    while after - before > Duration::minutes(30) {
        let middle = before + (after - before) / 2;
        if text::utc_offset(middle, timezone) == offset { before = middle } else { after = middle }
    }
    Some(text::day_and_month(after, timezone))
}

/// A time zone. The list groups time zones by region, so that browsers find one by the first letters of its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Zone {
    /// Empty for `UTC`.
    region: String,
    /// `Buenos Aires, Argentina` for `America/Argentina/Buenos_Aires`.
    place: String,
    id: String,
}

impl Zone {
    fn new(id: String) -> Self {
        let (region, place) = id.split_once('/').unwrap_or(("", id.as_str()));
        let place = place.rsplit('/').collect::<Vec<_>>().join(", ").replace('_', " ");
        Self { region: region.to_owned(), place, id }
    }
}

/// Returns the time zones that the browser knows, ordered by region and place.
fn timezones() -> Vec<Zone> {
    let mut zones = vec![Zone::new("UTC".to_owned())];
    let known = js_sys::Reflect::get(&js_sys::global(), &"Intl".into())
        .and_then(|intl| js_sys::Reflect::get(&intl, &"supportedValuesOf".into()).map(|function| (intl, function)))
        .ok()
        .and_then(|(intl, function)| {
            function.dyn_into::<js_sys::Function>().ok()?.call1(&intl, &"timeZone".into()).ok()
        });
    if let Some(known) = known {
        let known = js_sys::Array::from(&known);
        let known = known.iter().filter_map(|zone| zone.as_string()).filter(|zone| zone != "UTC");
        zones.extend(known.map(Zone::new));
    }
    zones.sort();
    zones
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_zones_are_named_by_region_and_place() {
        for (id, region, place) in [
            ("UTC", "", "UTC"),
            ("Europe/Berlin", "Europe", "Berlin"),
            ("America/Argentina/Buenos_Aires", "America", "Buenos Aires, Argentina"),
        ] {
            let zone = Zone::new(id.to_owned());
            assert_eq!((zone.region.as_str(), zone.place.as_str(), zone.id.as_str()), (region, place, id));
        }
    }
}
