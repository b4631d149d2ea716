//! `/plugins`: the plugins on this server, their publishers, and their grants.
//!
//! [`list`] shows the plugins, and [`keys`] shows the keys that sign them. [`sheet`] shows one plugin, with its
//! [`grants`] and its [`settings`]. [`acts`] contains the dialogs that revoke or forget a plugin. [`words`] contains
//! the names of capabilities and states.

mod acts;
mod grants;
mod keys;
mod list;
mod settings;
mod sheet;
mod words;

use api_types::{Page as ApiPage, Plugin, PluginState, SystemInfo};
use dioxus::prelude::*;

use crate::{
    address,
    frame::page::Page,
    remote::{self, RemoteState, use_remote, use_remote_every},
    text,
    ui::{Dialog, ErrorBox, Icon, IconName, Link, LoadingTable, Mark, Shape},
};
use keys::TrustedKeys;
use list::PluginTable;
use sheet::PluginSheet;

/// Milliseconds between two reads of the list. A new file must appear soon, and reading the list is cheap.
const INTERVAL_MS: u32 = 4_000;

#[component]
pub fn Plugins() -> Element {
    let mut plugins =
        use_remote_every::<ApiPage<Plugin>>(use_signal(|| "/plugins?limit=200".to_owned()).into(), INTERVAL_MS);
    let open = address::use_parameter("plugin");
    let shows_help = address::use_parameter("help").is_some();
    let items = plugins.value().map(|page| page.items).unwrap_or_default();
    let waiting: Vec<Plugin> = items.iter().filter(|plugin| words::waits(plugin)).cloned().collect();
    let content = match plugins.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Plugins", columns: 7 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Plugins could not be loaded.", failure, on_retry: move |()| plugins.refresh() }
        },
        RemoteState::Ready(page) => rsx! {
            if !waiting.is_empty() {
                Waiting { plugins: waiting }
            }
            div { class: "bleed-head first", h2 { "Plugins" } }
            PluginTable { plugins: page.items.clone(), open: open.clone() }
            TrustedKeys { plugins: page.items }
        },
    };
    let opened = open.as_ref().and_then(|name| items.iter().find(|plugin| plugin.name == *name)).cloned();
    let is_loaded = matches!(plugins.state(), RemoteState::Ready(_));
    rsx! {
        Page {
            title: "Plugins",
            subtitle: counts_in_words(&items),
            acts: rsx! { Link { to: "/plugins?help=add", class: "btn btn-ghost", "How to add a plugin" } },
            {content}
            if let Some(name) = open.filter(|_| is_loaded) {
                // Dioxus compares keys only in lists, so this is a list of one element: another plugin must not show
                // the choices made for this plugin.
                for name in [name] {
                    PluginSheet { key: "{name}", name: name.clone(), plugin: opened.clone() }
                }
            }
            if shows_help {
                HowToAdd {}
            }
        }
    }
}

/// Returns the numbers of plugins, for example `7 plugins, 1 waits for your approval, 1 refused`.
fn counts_in_words(plugins: &[Plugin]) -> String {
    if plugins.is_empty() {
        return String::new();
    }
    let count = |state| plugins.iter().filter(|plugin| plugin.state == state).count();
    let mut words = text::count(plugins.len() as i64, "plugin", "plugins");
    match plugins.iter().filter(|plugin| words::waits(plugin)).count() {
        0 => {}
        1 => words.push_str(", 1 waits for your approval"),
        waiting => words.push_str(&format!(", {waiting} wait for your approval")),
    }
    for (state, word) in [(PluginState::Rejected, "refused"), (PluginState::Revoked, "revoked")] {
        let count = count(state);
        if count > 0 {
            words.push_str(&format!(", {count} {word}"));
        }
    }
    words
}

/// The plugins that wait for approval, with the number of capabilities that each requests.
#[component]
fn Waiting(plugins: Vec<Plugin>) -> Element {
    rsx! {
        section { class: "section waiting-plugins", "aria-label": "Waits for your approval",
            div { class: "section-head", h2 { "Waits for your approval" } }
            ul { class: "items",
                for plugin in plugins {
                    li { key: "{plugin.name}", class: "item",
                        Mark { shape: Shape::Attention }
                        div {
                            h3 { "{plugin.name} {plugin.version.clone().unwrap_or_default()}" }
                            p { {words::request_in_words(&plugin)} }
                        }
                        div { class: "acts",
                            Link {
                                to: address::with_parameters("/plugins", &[("plugin", Some(&plugin.name))]),
                                class: "btn btn-s",
                                name: "Review {plugin.name}",
                                "Review"
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The dialog "How to add a plugin".
#[component]
fn HowToAdd() -> Element {
    let system = use_remote::<SystemInfo>(use_signal(|| "/system".to_owned()).into());
    let folder = system.value().map(|system| system.plugin_dir).unwrap_or_default();
    let close = || address::push_parameter("help", None);
    rsx! {
        Dialog {
            title: "How to add a plugin",
            on_close: move |()| close(),
            footer: rsx! {
                button { class: "btn btn-l", r#type: "button", autofocus: true, onclick: move |_| close(),
                    Icon { name: IconName::Close }
                    "Close"
                }
            },
            ol { class: "stack stack-3 how-to",
                li {
                    "Put two files into the folder "
                    code { "{folder}" }
                    ": the plugin, "
                    code { "name.wasm" }
                    ", and its signature, "
                    code { "name.wasm.minisig" }
                    "."
                }
                li { "The plugin appears here within seconds. If its key is unknown, trust the key first." }
                li { "Review what the plugin asks for, leave out what it should not have, and approve it." }
            }
        }
    }
}

/// Returns the projects: the value that stands for each in a scope, and its name.
fn use_projects() -> Vec<(String, String)> {
    let projects = remote::use_projects().items.into_iter();
    projects.map(|project| (format!("project:{}", project.id), project.name)).collect()
}
