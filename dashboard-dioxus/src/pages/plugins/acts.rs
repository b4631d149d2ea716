//! The dialogs that revoke and forget a plugin, and the path of a plugin in the admin API.

use api_types::{Plugin, PluginState};
use dioxus::prelude::*;

use crate::{
    remote::{self, Method},
    text,
    ui::{Confirm, messages},
};

/// Returns the path of a plugin in the admin API. The name of a plugin may contain any character.
pub(super) fn path_of(name: &str) -> String {
    format!("/plugins/{}", String::from(js_sys::encode_uri_component(name)))
}

/// Removes the cached responses that show plugins or depend on them.
pub(super) fn forget_plugins() {
    for path in ["/plugins", "/trusted-keys", "/jobs", "/runs", "/overview"] {
        remote::forget(path);
    }
}

/// Describes the runs and jobs that stop with a plugin: `2 runs end now, 3 jobs can't run.`
fn lost(plugin: &Plugin) -> String {
    let (runs, jobs) = (plugin.active_run_count, plugin.used_by_count);
    let runs = match runs {
        0 => "No run ends".to_owned(),
        1 => "1 run ends now".to_owned(),
        runs => format!("{} runs end now", text::number(runs)),
    };
    let jobs = match jobs {
        0 => "no job uses it".to_owned(),
        1 => "1 job can't run".to_owned(),
        jobs => format!("{jobs} jobs can't run"),
    };
    format!("{runs}, {jobs}.")
}

/// Returns the text about a plugin that is forgotten: the deleted data, and whether the plugin needs approval again.
fn forgotten(plugin: &Plugin) -> String {
    let secrets = match plugin.secrets.len() {
        0 => String::new(),
        1 => " Its secret is deleted.".to_owned(),
        count => format!(" Its {} secrets are deleted.", text::number(count as i64)),
    };
    let deleted = format!("Your approval and the plugin's settings are deleted.{secrets}");
    let (name, lost) = (&plugin.name, lost(plugin));
    match plugin.state {
        PluginState::Revoked => format!("{name}: {lost} {deleted} Its file stays revoked."),
        // Its jobs can still run.
        _ if plugin.first_party => {
            format!("{name}: {deleted} It comes with AtlasHub, so it is approved again with everything it asks for.")
        }
        _ => format!("{name}: {lost} {deleted} If its files still exist, the plugin waits for your approval again."),
    }
}

/// The dialog "Revoke plugin", while there is a plugin to revoke.
#[component]
pub(super) fn RevokePlugin(plugin: Signal<Option<Plugin>>) -> Element {
    let mut to_revoke = plugin;
    match plugin() {
        Some(plugin) => rsx! { RevokeDialog { plugin, on_close: move |()| to_revoke.set(None) } },
        None => rsx! {},
    }
}

#[component]
fn RevokeDialog(plugin: Plugin, on_close: EventHandler<()>) -> Element {
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let path = format!("{}/revoke", path_of(&plugin.name));
    rsx! {
        Confirm {
            act: "Revoke plugin",
            description: "{plugin.name}: {lost(&plugin)} This file is not loaded again unless you approve it.",
            busy: busy(),
            closable: !busy(),
            failure: failure(),
            on_close: move |()| on_close.call(()),
            on_confirm: move |()| {
                let path = path.clone();
                spawn(async move {
                    busy.set(true);
                    match remote::send::<_, Plugin>(Method::Post, &path, &serde_json::json!({})).await {
                        Ok(_) => {
                            messages::show("Plugin revoked");
                            forget_plugins();
                            on_close.call(());
                        }
                        Err(refused) => failure.set(Some(refused.message())),
                    }
                    busy.set(false);
                });
            },
        }
    }
}

/// The dialog "Forget plugin", while there is a plugin to forget.
#[component]
pub(super) fn ForgetPlugin(plugin: Signal<Option<Plugin>>) -> Element {
    let mut to_forget = plugin;
    match plugin() {
        Some(plugin) => rsx! { ForgetDialog { plugin, on_close: move |()| to_forget.set(None) } },
        None => rsx! {},
    }
}

#[component]
fn ForgetDialog(plugin: Plugin, on_close: EventHandler<()>) -> Element {
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let path = path_of(&plugin.name);
    rsx! {
        Confirm {
            act: "Forget plugin",
            description: forgotten(&plugin),
            busy: busy(),
            closable: !busy(),
            failure: failure(),
            on_close: move |()| on_close.call(()),
            on_confirm: move |()| {
                let path = path.clone();
                spawn(async move {
                    busy.set(true);
                    match remote::delete(&path).await {
                        Ok(()) => {
                            messages::show("Plugin forgotten");
                            forget_plugins();
                            on_close.call(());
                        }
                        Err(refused) => failure.set(Some(refused.message())),
                    }
                    busy.set(false);
                });
            },
        }
    }
}
