//! The field "Expires" of a key, and the conversion of its value to a time.

use chrono::{DateTime, Duration, Utc};
use dioxus::prelude::*;

use crate::{
    text,
    ui::{Mark, Shape},
};

/// Choices for how long a key works: label and days.
const LIFETIMES: [(&str, Option<i64>); 4] =
    [("Never", None), ("30 days", Some(30)), ("90 days", Some(90)), ("1 year", Some(365))];

/// Index of the choice "On a date", which follows those of [`LIFETIMES`].
const ON_A_DATE: usize = LIFETIMES.len();

/// The field for the expiry of a key: never, after one of the lifetimes, or at the end of a day.
#[component]
pub(super) fn ExpiryField(
    /// Label of the choice that keeps the current expiry. Absent for a new key.
    kept: Option<String>,
    lifetime: Signal<Option<usize>>,
    date: Signal<String>,
    error: Option<String>,
) -> Element {
    let (mut lifetime, mut date) = (lifetime, date);
    let described_by = if error.is_some() { "key-expires-error key-expires-help" } else { "key-expires-help" };
    rsx! {
        div { class: "field",
            label { r#for: "key-expires", "Expires" }
            select {
                id: "key-expires",
                class: "input",
                onchange: move |event| lifetime.set(event.value().parse().ok()),
                if let Some(kept) = kept {
                    option { value: "", selected: lifetime().is_none(), "{kept}" }
                }
                for (index, (label, _)) in LIFETIMES.iter().enumerate() {
                    option { key: "{index}", value: "{index}", selected: lifetime() == Some(index), "{label}" }
                }
                option { value: "{ON_A_DATE}", selected: lifetime() == Some(ON_A_DATE), "On a date" }
            }
        }
        if lifetime() == Some(ON_A_DATE) {
            div { class: "field",
                label { r#for: "key-expires-on", "Expires on" }
                input {
                    id: "key-expires-on",
                    class: "input",
                    r#type: "date",
                    value: "{date}",
                    "aria-invalid": if error.is_some() { "true" },
                    "aria-describedby": described_by,
                    oninput: move |event| date.set(event.value()),
                }
                if let Some(error) = &error {
                    p {
                        class: "error", id: "key-expires-error", role: "alert", Mark { shape: Shape::Failed }
                        "{error}"
                    }
                }
                p { class: "help", id: "key-expires-help",
                    "The key works until the end of this day in your browser's time zone, {text::browser_timezone()}."
                }
            }
        }
    }
}

/// Returns when a key expires: after the chosen lifetime, or at the end of the chosen day. `None` if it never expires.
///
/// # Errors
/// Returns a message if the day is over, or if no day is chosen.
pub(super) fn expiry(lifetime: usize, date: &str) -> Result<Option<DateTime<Utc>>, &'static str> {
    if lifetime != ON_A_DATE {
        let days = LIFETIMES.get(lifetime).and_then(|(_, days)| *days);
        return Ok(days.map(|days| text::now() + Duration::days(days)));
    }
    end_of_day(date).filter(|at| *at > text::now()).map(Some).ok_or("Choose today or a later date.")
}

/// Returns the last second of a day in the browser's zone, from `2026-03-14`.
fn end_of_day(date: &str) -> Option<DateTime<Utc>> {
    let milliseconds = js_sys::Date::new(&format!("{date}T23:59:59").into()).get_time();
    if milliseconds.is_nan() { None } else { DateTime::from_timestamp_millis(milliseconds as i64) }
}
