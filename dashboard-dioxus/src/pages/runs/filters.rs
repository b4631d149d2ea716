//! The filters of the list of runs. They are in the address.

use api_types::{Page as ApiPage, Plugin, RunTrigger};
use chrono::{DateTime, Duration, Utc};
use dioxus::prelude::*;

use super::{
    super::{jobs::ParameterFilter, recent_runs::trigger_in_words},
    status_filter::StatusFilter,
};
use crate::{
    address,
    remote::{JobBrief, use_all_pages, use_projects, use_remote},
    text,
    ui::SearchBox,
};

/// The parameters of the address: the filters, and the position in the list.
pub(super) const FILTERS: [&str; 10] =
    ["q", "status", "job", "project", "plugin", "trigger", "from", "to", "after", "offset"];

/// Time ranges that end now: value in the address, label and hours.
const RANGES: [(&str, &str, i64); 3] = [("hour", "Hour", 1), ("day", "Day", 24), ("week", "Week", 168)];

/// The time range in which runs were queued.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TimeRange {
    /// The value of a range that ends now.
    relative: Option<&'static str>,
    /// RFC 3339.
    pub(super) from: Option<String>,
    /// RFC 3339.
    pub(super) to: Option<String>,
}

impl TimeRange {
    /// Reads a range from the address. Ignores values that are not a time.
    pub(super) fn parse(from: Option<&str>, to: Option<&str>, now: DateTime<Utc>) -> Self {
        let exact = |text: &str| Some(DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc).to_rfc3339());
        match RANGES.iter().find(|(value, ..)| Some(*value) == from) {
            Some((value, _, hours)) => Self {
                relative: Some(value),
                from: Some((now - Duration::hours(*hours)).to_rfc3339()),
                to: to.and_then(exact),
            },
            None => Self { relative: None, from: from.and_then(exact), to: to.and_then(exact) },
        }
    }

    /// Returns whether the owner has chosen the exact times.
    pub(super) fn is_exact(&self) -> bool {
        self.relative.is_none() && (self.from.is_some() || self.to.is_some())
    }
}

#[component]
pub(super) fn Filters(
    range: TimeRange,
    /// Whether the fields for exact times are shown.
    is_exact: Signal<bool>,
    /// The text that runs must contain.
    text: Signal<String>,
    is_filtered: bool,
    on_clear: EventHandler<()>,
) -> Element {
    let triggers = RunTrigger::ALL
        .iter()
        .map(|trigger| (trigger.as_str().to_owned(), trigger_in_words(*trigger).to_owned()))
        .collect();
    // Without an order, because the server would compute the last runs of all jobs for each page.
    let mut jobs = use_all_pages::<JobBrief>("/jobs?limit=200").items;
    jobs.sort_by_cached_key(|job| job.name.to_lowercase());
    let projects = use_projects().items;
    let plugins = use_remote::<ApiPage<Plugin>>(use_signal(|| "/plugins?limit=200".to_owned()).into());
    let plugins = plugins.value().map(|page| page.items).unwrap_or_default();
    rsx! {
        div { class: "toolbar toolbar-top run-filters", role: "group", "aria-label": "Filters",
            SearchBox { name: "Filter runs", value: text }
            TimeFilter { range, is_exact }
            div { class: "row wrap",
                StatusFilter {}
                ParameterFilter {
                    label: "Job", parameter: "job", options: jobs.into_iter().map(|job| (job.id, job.name)).collect()
                }
                ParameterFilter {
                    label: "Project",
                    parameter: "project",
                    options: projects.into_iter().map(|project| (project.id, project.name)).collect(),
                }
                ParameterFilter {
                    label: "Plugin",
                    parameter: "plugin",
                    options: plugins.into_iter().map(|plugin| (plugin.name.clone(), plugin.name)).collect(),
                }
                ParameterFilter { label: "Trigger", parameter: "trigger", options: triggers }
                if is_filtered {
                    button {
                        class: "btn btn-ghost", r#type: "button", onclick: move |_| on_clear.call(()), "Clear filters"
                    }
                }
            }
        }
    }
}

#[component]
fn TimeFilter(range: TimeRange, is_exact: Signal<bool>) -> Element {
    let mut is_exact = is_exact;
    let none = range.from.is_none() && range.to.is_none() && !is_exact();
    let choose = move |from: Option<&str>| {
        let mut is_exact = is_exact;
        is_exact.set(false);
        let from = from.map(|from| vec![from.to_owned()]).unwrap_or_default();
        address::replace_parameters(&[
            ("from", from),
            ("to", Vec::new()),
            ("after", Vec::new()),
            ("offset", Vec::new()),
        ]);
    };
    rsx! {
        div { class: "push row wrap", role: "group", "aria-label": "Time",
            div { class: "seg",
                button { r#type: "button", "aria-pressed": none.to_string(), onclick: move |_| choose(None), "All" }
                for (value, label, _) in RANGES {
                    button {
                        key: "{value}",
                        r#type: "button",
                        "aria-label": "Last {value}",
                        "aria-pressed": (range.relative == Some(value) && !is_exact()).to_string(),
                        onclick: move |_| choose(Some(value)),
                        "{label}"
                    }
                }
                button {
                    r#type: "button",
                    "aria-pressed": is_exact().to_string(),
                    onclick: move |_| is_exact.set(true),
                    "Custom"
                }
            }
            if is_exact() {
                TimeField { label: "From", parameter: "from", value: range.from.clone() }
                TimeField { label: "To", parameter: "to", value: range.to.clone() }
            }
        }
    }
}

/// The field for a time, in the browser's zone. The address contains the time in UTC.
#[component]
fn TimeField(label: &'static str, parameter: &'static str, value: Option<String>) -> Element {
    let local = value.as_deref().and_then(|text| DateTime::parse_from_rfc3339(text).ok()).map(|time| {
        let date = js_sys::Date::new(&(time.timestamp_millis() as f64).into());
        let two = |number: u32| format!("{number:02}");
        format!(
            "{}-{}-{}T{}:{}",
            date.get_full_year(),
            two(date.get_month() + 1),
            two(date.get_date()),
            two(date.get_hours()),
            two(date.get_minutes())
        )
    });
    rsx! {
        input {
            class: "input m time-field",
            r#type: "datetime-local",
            "aria-label": label,
            title: "In your browser's time zone, {text::browser_timezone()}",
            value: local.unwrap_or_default(),
            onchange: move |event| {
                let milliseconds = js_sys::Date::new(&event.value().into()).get_time();
                let time = if milliseconds.is_nan() { None } else {
                    DateTime::from_timestamp_millis(milliseconds as i64)
                }
                ;
                let value = time.map(|time| vec![time.to_rfc3339()]).unwrap_or_default();
                address::replace_parameters(&[(parameter, value), ("after", Vec::new()), ("offset", Vec::new())]);
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_of_address_is_relative_or_exact() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap_or_default();
        let range = TimeRange::parse(Some("day"), None, now);
        assert_eq!(range.from, Some((now - Duration::hours(24)).to_rfc3339()));
        assert_eq!(TimeRange::parse(Some("x"), Some("y"), now), TimeRange::default());
        let range = TimeRange::parse(Some("2026-02-03T02:00:00Z"), None, now);
        assert_eq!((range.relative, range.from.as_deref()), (None, Some("2026-02-03T02:00:00+00:00")));
    }
}
