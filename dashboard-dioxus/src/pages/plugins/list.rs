//! The list of plugins: a table, or cards on a phone.

use api_types::Plugin;
use dioxus::prelude::*;

use super::{
    acts::{ForgetPlugin, RevokePlugin},
    words::{has_unknown_key, may, reach, signed_by, state},
};
use crate::{
    address, text,
    ui::{Empty, Icon, IconName, Link, Mark, Menu, MenuItem, SearchBox, narrow::use_is_narrow},
};

/// Minimum number of plugins at which the list has a filter.
const MIN_FILTERED: usize = 8;

#[component]
pub(super) fn PluginTable(plugins: Vec<Plugin>, open: Option<String>) -> Element {
    let filter = use_signal(String::new);
    let revoking = use_signal(|| None::<Plugin>);
    let forgetting = use_signal(|| None::<Plugin>);
    let is_narrow = use_is_narrow();
    let wanted = filter.read().trim().to_lowercase();
    let has_filter = plugins.len() >= MIN_FILTERED;
    let shown: Vec<Plugin> =
        plugins.into_iter().filter(|plugin| plugin.name.to_lowercase().contains(&wanted)).collect();
    rsx! {
        if has_filter {
            div { class: "toolbar", SearchBox { name: "Filter plugins", value: filter } }
        }
        if shown.is_empty() {
            Empty { title: "No plugin matches", text: "No plugin name contains this text.",
                Link { to: "/plugins?help=add", class: "btn", "How to add a plugin" }
            }
        } else if is_narrow {
            ul { class: "cards", "aria-label": "Plugins",
                for plugin in shown {
                    PluginCard { key: "{plugin.name}", plugin, revoking, forgetting }
                }
            }
        } else {
            table { class: "table plugin-table", "aria-label": "Plugins",
                thead {
                    tr {
                        th { "Name" }
                        th { "Version · serial" }
                        th { class: "hide-800", "Signed by" }
                        th { "State" }
                        th { class: "hide-1060", "May" }
                        th { class: "hide-800", "Used by" }
                        th { class: "num hide-1240", "Runs 24 h" }
                        th { class: "num hide-1240", "Loaded" }
                        th { class: "acts", span { class: "sr", "Actions" } }
                    }
                }
                tbody {
                    for plugin in shown {
                        PluginRow {
                            key: "{plugin.name}",
                            is_open: open.as_ref() == Some(&plugin.name),
                            plugin,
                            revoking,
                            forgetting,
                        }
                    }
                }
            }
        }
        RevokePlugin { plugin: revoking }
        ForgetPlugin { plugin: forgetting }
    }
}

fn address_of(plugin: &Plugin) -> String {
    address::with_parameters("/plugins", &[("plugin", Some(&plugin.name))])
}

fn version(plugin: &Plugin) -> String {
    match (&plugin.version, plugin.serial) {
        (Some(version), Some(serial)) => format!("{version} · {serial}"),
        _ => "–".to_owned(),
    }
}

fn runs(plugin: &Plugin) -> String {
    let runs = plugin.runs_24h;
    match runs.failed {
        0 => text::number(runs.total),
        failed => format!("{}, {failed} failed", text::number(runs.total)),
    }
}

#[component]
fn PluginRow(
    plugin: Plugin,
    is_open: bool,
    revoking: Signal<Option<Plugin>>,
    forgetting: Signal<Option<Plugin>>,
) -> Element {
    let (shape, words) = state(&plugin);
    let jobs = plugin.used_by_count;
    rsx! {
        tr { "aria-selected": is_open.to_string(),
            td { class: "name",
                Link { to: address_of(&plugin), "{plugin.name}" }
                if let Some(publisher) = plugin.publisher.as_ref().filter(|_| !plugin.first_party) {
                    span { class: "muted publisher", " {publisher}" }
                }
            }
            td { class: "tab-nums", {version(&plugin)} }
            td { class: "muted hide-800", {signed_by(&plugin)} }
            td {
                class: "plugin-state",
                title: "{words}",
                span { class: "badge", Mark { shape } span { class: "cut", "{words}" } }
            }
            td { class: "muted hide-1060 may", title: may(&plugin.granted), Reach { plugin: plugin.clone() } }
            td { class: "muted hide-800",
                if jobs == 0 {
                    "–"
                } else {
                    Link {
                        to: address::with_parameters("/jobs", &[("plugin", Some(&plugin.name))]),
                        {text::count(jobs, "job", "jobs")}
                    }
                }
            }
            td { class: "num muted hide-1240", {runs(&plugin)} }
            td { class: "num muted hide-1240", title: plugin.loaded_at.map(text::exact),
                {plugin.loaded_at.map_or_else(|| "–".to_owned(), |at| text::age(at, text::now()))}
            }
            td { class: "acts",
                span { class: "row row-1",
                    if has_unknown_key(&plugin) {
                        Link {
                            to: address::with_parameters("/plugins", &[("trust", plugin.key_id.as_deref())]),
                            class: "btn btn-ghost btn-s",
                            "Trust key…"
                        }
                    }
                    PluginMenu { plugin: plugin.clone(), revoking, forgetting }
                }
            }
        }
    }
}

/// The databases, stores and hosts that a plugin may use: icons with words.
#[component]
fn Reach(plugin: Plugin) -> Element {
    let reached = reach(&plugin.granted);
    if reached.is_empty() {
        return rsx! { "–" };
    }
    rsx! {
        span { class: "reach",
            for (icon, words) in reached {
                span { key: "{words}", class: "badge",
                    if let Some(icon) = icon {
                        Icon { name: icon, small: true }
                    }
                    "{words}"
                }
            }
        }
    }
}

#[component]
fn PluginCard(plugin: Plugin, revoking: Signal<Option<Plugin>>, forgetting: Signal<Option<Plugin>>) -> Element {
    let (shape, words) = state(&plugin);
    rsx! {
        li { class: "card",
            h3 {
                Link { to: address_of(&plugin), class: "grow cut", "{plugin.name}" }
                span { class: "label muted", {plugin.version.clone().unwrap_or_default()} }
                PluginMenu { plugin: plugin.clone(), revoking, forgetting }
            }
            p { span { class: "badge wrap-badge", Mark { shape } "{words}" } " · {signed_by(&plugin)}" }
            p { Reach { plugin: plugin.clone() } }
        }
    }
}

#[component]
fn PluginMenu(plugin: Plugin, revoking: Signal<Option<Plugin>>, forgetting: Signal<Option<Plugin>>) -> Element {
    let (mut revoking, mut forgetting) = (revoking, forgetting);
    let (to_open, to_revoke, to_forget) = (address_of(&plugin), plugin.clone(), plugin.clone());
    let is_revoked = plugin.state == api_types::PluginState::Revoked;
    rsx! {
        Menu { name: "Actions for {plugin.name}", icon: IconName::Dots, class: "btn-s",
            MenuItem { icon: Some(IconName::Eye), onselect: move |()| address::go(&to_open), "Review plugin" }
            hr {}
            if !is_revoked {
                MenuItem {
                    danger: true,
                    onselect: move |()| revoking.set(Some(to_revoke.clone())),
                    "Revoke plugin"
                }
            }
            MenuItem {
                danger: true,
                onselect: move |()| forgetting.set(Some(to_forget.clone())),
                "Forget plugin"
            }
        }
    }
}
