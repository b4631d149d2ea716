//! The note that jobs can call no URL, because the server allows requests to no host.

use dioxus::prelude::*;
use serde::Deserialize;

use crate::{
    remote::use_remote,
    ui::{Link, Mark, Shape},
};

const VARIABLE: &str = "ATLASHUB_HTTP_ALLOWED_HOSTS";

/// Part of [`api_types::SystemInfo`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Configuration {
    configuration: Vec<Variable>,
}

/// Part of [`api_types::ConfigurationVariable`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Variable {
    name: String,
    value: Option<String>,
}

/// Returns whether requests are allowed to no host. False while this is unknown. The configuration is read again after
/// a restart of the server.
pub(super) fn use_allows_no_hosts() -> bool {
    let system = use_remote::<Configuration>(use_signal(|| "/system".to_owned()).into());
    system.value().is_some_and(|system| allows_no_hosts(&system))
}

fn allows_no_hosts(system: &Configuration) -> bool {
    let variable = system.configuration.iter().find(|variable| variable.name == VARIABLE);
    variable.is_some_and(|variable| variable.value.as_deref().unwrap_or_default().trim().is_empty())
}

/// The sentences of the note.
#[component]
pub(super) fn NoHosts() -> Element {
    rsx! {
        "Requests are allowed to no host yet, so every call is refused. Set "
        span { class: "mono", "{VARIABLE}" }
        ", for example to "
        span { class: "mono", "api.example.com" }
        ". It is an environment variable of the server; restart AtlasHub afterwards. "
        Link { to: "/settings?section=configuration", class: "link", "Show configuration" }
    }
}

/// The note, shown if requests are allowed to no host.
#[component]
pub(super) fn NoHostsNote() -> Element {
    if !use_allows_no_hosts() {
        return rsx! {};
    }
    rsx! {
        div { class: "banner t-warning", role: "note", Mark { shape: Shape::Attention } p { NoHosts {} } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_value_allows_no_host() {
        let system = |value: Option<&str>| Configuration {
            configuration: vec![Variable { name: VARIABLE.to_owned(), value: value.map(str::to_owned) }],
        };
        assert!(allows_no_hosts(&system(None)) && allows_no_hosts(&system(Some(" "))));
        assert!(!allows_no_hosts(&system(Some("api.example.com"))));
        assert!(!allows_no_hosts(&Configuration { configuration: Vec::new() }));
    }
}
