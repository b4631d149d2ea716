//! The filters of the log. They are in the address.

use api_types::{AuditResult, Page as ApiPage, Session};
use chrono::{DateTime, Duration, SecondsFormat, Utc};
use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use super::{
    super::jobs::ParameterFilter,
    words::{known_actor_in_words, result_in_words},
};
use crate::{
    address,
    remote::{RemoteState, use_projects, use_remote},
    text,
    ui::SearchBox,
};

/// The address parameters of the filters.
const PARAMETERS: [&str; 8] = ["project", "action", "actor", "result", "from", "to", "target", "q"];
/// Choices of a period: label and hours.
const PERIODS: [(&str, i64); 4] =
    [("Last hour", 1), ("Last 24 hours", 24), ("Last 7 days", 24 * 7), ("Last 30 days", 24 * 30)];
/// The actors that the filter "Who" offers.
const KNOWN_ACTORS: [&str; 4] = ["session", "dev-token", "cli", "system"];
/// Pause in typing after which the text filters the list.
const TYPING_MS: u32 = 250;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct AuditFilter {
    values: Vec<Option<String>>,
}

impl AuditFilter {
    /// Reads the filter from the address, and subscribes the component to it.
    pub(super) fn use_current() -> Self {
        let _: crate::route::Route = use_route();
        let read = |name: &&str| address::parameter(name).filter(|value| !value.is_empty());
        Self { values: PARAMETERS.iter().map(read).collect() }
    }

    fn get(&self, name: &str) -> Option<&str> {
        let position = PARAMETERS.iter().position(|parameter| *parameter == name)?;
        self.values.get(position)?.as_deref()
    }

    pub(super) fn is_active(&self) -> bool {
        self.values.iter().any(Option::is_some)
    }

    /// Returns the filter's parameters as the API names them.
    fn for_api(&self) -> Vec<(&'static str, Option<&str>)> {
        let named =
            PARAMETERS.iter().map(|name| if *name == "project" { ("projectId", *name) } else { (*name, *name) });
        named.map(|(api, name)| (api, self.get(name))).collect()
    }

    pub(super) fn list_path(&self, limit: &str, cursor: Option<&str>) -> String {
        let mut parameters = self.for_api();
        parameters.extend([("limit", Some(limit)), ("cursor", cursor)]);
        address::with_parameters("/audit", &parameters)
    }

    /// Returns the address that downloads all matching entries as a file.
    pub(super) fn export_address(&self) -> String {
        address::with_parameters("/admin/v1/audit/export", &self.for_api())
    }
}

/// Sets filters, and returns to the first page.
pub(super) fn set(changes: &[(&str, Option<String>)]) {
    let mut all: Vec<(&str, Vec<String>)> = changes
        .iter()
        .map(|(name, value)| (*name, value.iter().filter(|value| !value.is_empty()).cloned().collect()))
        .collect();
    all.extend([("after", Vec::new()), ("offset", Vec::new())]);
    address::replace_parameters(&all);
}

pub(super) fn clear() {
    let none: Vec<(&str, Option<String>)> = PARAMETERS.iter().map(|name| (*name, None)).collect();
    set(&none);
}

#[component]
pub(super) fn Filters(filter: AuditFilter) -> Element {
    let projects = use_projects();
    let actions = use_remote::<ApiPage<String>>(use_signal(|| "/audit/actions".to_owned()).into());
    let has_all_projects = projects.state == RemoteState::Ready(());
    let actions = actions.value().map(|page| page.items).unwrap_or_default();
    let mut project_choices: Vec<(String, String)> =
        projects.items.into_iter().map(|project| (project.id, project.name)).collect();
    if let Some(id) = filter.get("project").filter(|id| project_choices.iter().all(|(known, _)| known != id)) {
        let label = if has_all_projects { format!("{id} (deleted)") } else { id.to_owned() };
        project_choices.push((id.to_owned(), label));
    }
    let session = use_remote::<Session>(use_signal(|| "/session".to_owned()).into());
    let you = session.value().map(|session| session.actor);
    let result_choices: Vec<(String, String)> = AuditResult::ALL
        .iter()
        .map(|result| (result.as_str().to_owned(), result_in_words(*result).to_owned()))
        .collect();
    rsx! {
        div { class: "toolbar",
            Search { value: filter.get("q").unwrap_or_default().to_owned() }
            ParameterFilter { label: "Project", parameter: "project", options: project_choices }
            ParameterFilter { label: "Action", parameter: "action", options: action_choices(&actions) }
            ParameterFilter { label: "Who", parameter: "actor", options: actor_choices(you.as_deref()) }
            ParameterFilter { label: "Result", parameter: "result", options: result_choices }
            Period { from: filter.get("from").map(str::to_owned), to: filter.get("to").map(str::to_owned) }
            if let Some(target) = filter.get("target") {
                span { class: "chip chip-x",
                    span { class: "what", "Target\u{a0}" }
                    span { class: "mono cut", "{target}" }
                    button {
                        r#type: "button",
                        "aria-label": "Remove filter Target",
                        onclick: |_| set(&[("target", None)]),
                        crate::ui::Icon { name: crate::ui::IconName::Close, small: true }
                    }
                }
            }
            if filter.is_active() {
                button { class: "btn btn-ghost", r#type: "button", onclick: |_| clear(), "Clear filters" }
            }
        }
    }
}

/// Returns the choices of actors, with the words of the list. `you` is the caller's own name.
fn actor_choices(you: Option<&str>) -> Vec<(String, String)> {
    let others = KNOWN_ACTORS.into_iter().filter(|actor| you != Some(*actor));
    let others = others.map(|actor| (actor.to_owned(), known_actor_in_words(actor).to_owned()));
    you.map(|you| (you.to_owned(), "you".to_owned())).into_iter().chain(others).collect()
}

/// Returns the choices of actions. Each subject starts with a choice of all its actions: `key.*`, `key.create`.
fn action_choices(actions: &[String]) -> Vec<(String, String)> {
    let mut choices: Vec<String> = Vec::new();
    for action in actions {
        if let Some((subject, _)) = action.split_once('.') {
            let all = format!("{subject}.*");
            if !choices.contains(&all) {
                choices.push(all);
            }
        }
        choices.push(action.clone());
    }
    choices.into_iter().map(|choice| (choice.clone(), choice)).collect()
}

/// The search for a text in entries.
#[component]
fn Search(value: String) -> Element {
    let mut typed = use_signal(|| value.clone());
    let mut written = use_signal(|| value.clone());
    use_effect(use_reactive!(|value| {
        if *written.peek() != value {
            typed.set(value.clone());
            written.set(value);
        }
    }));
    use_effect(move || {
        let text = typed.read().clone();
        spawn(async move {
            TimeoutFuture::new(TYPING_MS).await;
            if *typed.peek() == text && *written.peek() != text {
                written.set(text.clone());
                set(&[("q", Some(text))]);
            }
        });
    });
    rsx! { SearchBox { name: "Filter audit entries", value: typed } }
}

/// The choice of a period.
#[component]
fn Period(from: Option<String>, to: Option<String>) -> Element {
    let mut choosing = use_signal(|| false);
    let current = match (moment(from.as_deref()), moment(to.as_deref())) {
        (None, None) => None,
        (Some(from), None) => Some(format!("Since {}", text::day_and_time(from))),
        (None, Some(to)) => Some(format!("Until {}", text::day_and_time(to))),
        (Some(from), Some(to)) => Some(format!("{} – {}", text::day_and_time(from), text::day_and_time(to))),
    };
    let has_current = current.is_some();
    rsx! {
        label { class: "input select m select-native",
            span { class: "what", "aria-hidden": "true", "Time" }
            select {
                "aria-label": "Time",
                onchange: move |event| {
                    let chosen = event.value();
                    choosing.set(chosen == "choose");
                    match chosen.as_str() {
                        "" => set(&[("from", None), ("to", None)]),
                        "choose" | "current" => {}
                        hours => {
                            let since = text::now() - Duration::hours(hours.parse().unwrap_or(24));
                            set(&[("from", Some(since.to_rfc3339_opts(SecondsFormat::Secs, true))), ("to", None)]);
                        }
                    }
                },
                option { value: "", selected: !has_current && !choosing(), "Any time" }
                if let Some(current) = current {
                    option { value: "current", selected: !choosing(), "{current}" }
                }
                for (label, hours) in PERIODS {
                    option { key: "{hours}", value: "{hours}", "{label}" }
                }
                option { value: "choose", selected: choosing(), "Choose…" }
            }
        }
        if choosing() {
            DateField { label: "From", parameter: "from", value: moment(from.as_deref()) }
            DateField { label: "To", parameter: "to", value: moment(to.as_deref()) }
        }
    }
}

fn moment(text: Option<&str>) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text?).ok().map(|time| time.with_timezone(&Utc))
}

#[component]
fn DateField(label: &'static str, parameter: &'static str, value: Option<DateTime<Utc>>) -> Element {
    rsx! {
        label { class: "date-field",
            span { class: "label muted", "{label}" }
            input {
                class: "input m",
                r#type: "datetime-local",
                "aria-label": label,
                title: "In your browser's time zone, {text::browser_timezone()}",
                value: value.map(local_input),
                onchange: move |event| {
                    let time = js_sys::Date::new(&event.value().into()).get_time();
                    let time = if time.is_nan() { None } else { DateTime::from_timestamp_millis(time as i64) };
                    set(&[(parameter, time.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true)))]);
                },
            }
        }
    }
}

/// Formats a time for a field of type `datetime-local`, in the browser's time zone.
fn local_input(time: DateTime<Utc>) -> String {
    let date = js_sys::Date::new(&(time.timestamp_millis() as f64).into());
    let (year, month, day) = (date.get_full_year(), date.get_month() + 1, date.get_date());
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}", date.get_hours(), date.get_minutes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caller_is_called_you_as_in_the_list() {
        let labels = |you| actor_choices(you).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(labels(Some("session")), ["you", "admin token", "command line", "AtlasHub"]);
        let others = ["the owner", "admin token", "command line", "AtlasHub"];
        assert_eq!(labels(None), others);
        assert_eq!(labels(Some("ada@example.com")), [&["you"][..], &others[..]].concat());
    }

    #[test]
    fn each_subject_can_be_chosen_as_a_whole() {
        let actions = ["job.run", "key.create", "key.revoke"].map(str::to_owned);
        let choices: Vec<String> = action_choices(&actions).into_iter().map(|(choice, _)| choice).collect();
        assert_eq!(choices, ["job.*", "job.run", "key.*", "key.create", "key.revoke"]);
    }
}
