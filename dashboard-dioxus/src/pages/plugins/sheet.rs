//! The sheet of a plugin, in which the owner reviews, approves, revokes and forgets it.

use api_types::{ApprovePlugin, Plugin, PluginLimits, PluginState};
use dioxus::prelude::*;

use super::{
    super::not_saved::NotSaved,
    acts::{ForgetPlugin, RevokePlugin, forget_plugins, path_of},
    grants::{Choices, Grants},
    settings::{SecretsAndSettings, Typed, use_typed},
    use_projects, words,
};
use crate::{
    address,
    remote::{self, Method},
    text,
    ui::{CodeText, CopyButton, Empty, Link, Mark, Shape, Sheet, messages, narrow::use_is_narrow},
};

fn close() {
    address::push_parameter("plugin", None);
}

/// The sheet of a plugin. `plugin` is absent if no plugin has this name.
#[component]
pub(super) fn PluginSheet(name: String, plugin: Option<Plugin>) -> Element {
    // The SHA-256 of the file that the owner was shown or has approved.
    let shown = use_signal(|| plugin.as_ref().map(|plugin| plugin.sha256.clone()));
    match plugin {
        // The choices for one file must not be approved for another file, so the key is the hash of the file. Dioxus
        // compares keys only in lists.
        Some(plugin) => rsx! {
            for plugin in [plugin] {
                Opened { key: "{plugin.sha256}", plugin, shown }
            }
        },
        None => rsx! {
            Sheet { title: "Plugin {name}", on_close: |()| close(),
                Empty {
                    title: "No such plugin",
                    text: "Its files were removed from the folder, or the address is wrong.",
                    button { class: "btn", r#type: "button", onclick: |_| close(), "Close" }
                }
            }
        },
    }
}

#[component]
fn Opened(plugin: Plugin, shown: Signal<Option<String>>) -> Element {
    let mut shown = shown;
    let projects = use_projects();
    let is_narrow = use_is_narrow();
    // The plugin is read again every few seconds. `initial` is what the latest read preselects; `is_changed` compares
    // the owner's choices with it.
    let initial = Choices::of(&plugin);
    let choices = use_signal(|| initial.clone());
    let typed = use_typed(&plugin);
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let mut revoking = use_signal(|| None::<Plugin>);
    let mut forgetting = use_signal(|| None::<Plugin>);
    let can_approve = !is_narrow && plugin.approvable;
    let is_changed = choices.read().grants() != initial.grants()
        || !typed.read().secrets.is_empty()
        || typed.read().changed_settings(&plugin).is_some();
    let is_approved = plugin.state == PluginState::Active || plugin.compiling;
    let is_needed = !is_approved || is_changed;
    let (name, sha256) = (plugin.name.clone(), plugin.sha256.clone());
    let is_replaced = shown.read().as_ref().is_some_and(|shown| *shown != plugin.sha256);
    let reviewed = plugin.clone();
    let approve = move |_| {
        if busy() || !is_needed {
            return;
        }
        let (path, sha256, reviewed) = (format!("{}/approve", path_of(&name)), sha256.clone(), reviewed.clone());
        let mut typed = typed;
        spawn(async move {
            busy.set(true);
            failure.set(None);
            let now = typed.peek().clone();
            let granted = choices.peek().grants();
            let approval = async {
                let mut config = now.changed_settings(&reviewed);
                if config.is_some() {
                    // The API replaces all settings at once. Another tab may have changed others.
                    let newest = remote::get::<Plugin>(&path_of(&reviewed.name)).await?;
                    config = now.settings_for(&reviewed, &newest);
                }
                let request = ApprovePlugin {
                    sha256: Some(sha256.clone()),
                    granted: Some(granted),
                    secrets: (!now.secrets.is_empty()).then_some(now.secrets),
                    config,
                };
                remote::send::<_, Plugin>(Method::Post, &path, &request).await
            };
            match approval.await {
                Ok(approved) => {
                    messages::show("Plugin approved");
                    shown.set(Some(sha256));
                    // The server stores the settings sorted, and without spaces around the names. If the form kept
                    // them as typed, the browser would keep the draft.
                    typed.set(Typed::saved(&approved));
                }
                // Without the hint, which is for callers of the API. If the file was replaced, the next read of the
                // list shows the new file and asks to review it.
                Err(remote::Failure::Refused { status: 409, message, .. }) => failure.set(Some(message)),
                Err(refused) => failure.set(Some(refused.message())),
            }
            forget_plugins();
            busy.set(false);
        });
    };
    let discard = {
        let (mut choices, mut typed) = (choices, typed);
        let saved = Typed::saved(&plugin);
        move |_| {
            choices.set(initial.clone());
            typed.set(saved.clone());
        }
    };
    let (to_revoke, to_forget) = (plugin.clone(), plugin.clone());
    rsx! {
        Sheet {
            title: "Plugin {plugin.name}",
            wide: true,
            on_close: |()| close(),
            footer: rsx! {
                if can_approve {
                    button {
                        class: "btn btn-primary btn-l",
                        r#type: "button",
                        "aria-disabled": busy() || !is_needed,
                        title: if !is_needed { "These grants are approved. Nothing has changed since then." },
                        onclick: approve,
                        "Approve {plugin.name}"
                    }
                }
                button { class: "btn btn-ghost btn-l only-wide", r#type: "button", onclick: |_| close(), "Close" }
                if can_approve && is_changed {
                    button {
                        class: "btn btn-ghost btn-l",
                        r#type: "button",
                        "aria-disabled": busy(),
                        onclick: discard,
                        "Discard changes"
                    }
                }
                NotSaved { is_dirty: can_approve && is_changed }
                span { class: "push row",
                    if plugin.state != PluginState::Revoked {
                        button {
                            class: "btn btn-ghost",
                            r#type: "button",
                            "aria-label": "Revoke {plugin.name}",
                            onclick: move |_| revoking.set(Some(to_revoke.clone())),
                            "Revoke"
                        }
                    }
                    button {
                        class: "btn btn-ghost",
                        r#type: "button",
                        "aria-label": "Forget {plugin.name}",
                        onclick: move |_| forgetting.set(Some(to_forget.clone())),
                        "Forget"
                    }
                }
            },
            if is_replaced {
                div { class: "banner t-warning", role: "alert",
                    Mark { shape: Shape::Attention }
                    div {
                        strong { "The file was replaced while this sheet was open." }
                        p { "This is the new file. Review it before you approve it." }
                    }
                }
            }
            if let Some(failure) = failure() {
                div {
                    class: "banner t-bad",
                    role: "alert",
                    Mark { shape: Shape::Failed }
                    p { CodeText { text: failure } }
                }
            }
            StateBanner { plugin: plugin.clone() }
            if is_narrow {
                p { class: "help", "Approve plugins and change grants on a wider screen." }
            }
            About { plugin: plugin.clone() }
            Grants { plugin: plugin.clone(), choices, projects, is_read_only: !can_approve }
            if can_approve {
                SecretsAndSettings { plugin: plugin.clone(), typed }
            }
            Jobs { plugin: plugin.clone() }
            Limits { plugin: plugin.clone() }
        }
        RevokePlugin { plugin: revoking }
        ForgetPlugin { plugin: forgetting }
    }
}

#[component]
fn StateBanner(plugin: Plugin) -> Element {
    let version = plugin.version.clone().unwrap_or_default();
    let is_wider = plugin.approval.is_some() && plugin.requested.iter().any(|request| words::is_new(&plugin, request));
    let (tone, shape, title, detail) = match plugin.state {
        PluginState::Active => return rsx! {},
        PluginState::Pending if plugin.compiling => (
            "banner",
            Shape::Running,
            "Being compiled".to_owned(),
            "The plugin runs once it is compiled. You don't have to do anything.".to_owned(),
        ),
        PluginState::Pending if is_wider => (
            "banner t-warning",
            Shape::Attention,
            format!("{version} asks for more than you approved."),
            "This version runs once you approve it. You approve exactly the file below.".to_owned(),
        ),
        PluginState::Pending => (
            "banner t-warning",
            Shape::Attention,
            "Waiting for you".to_owned(),
            plugin.reason.clone().unwrap_or_else(|| "You approve exactly the file below.".to_owned()),
        ),
        PluginState::Revoked => {
            let detail = match &plugin.key_id {
                _ if plugin.approvable => "The plugin runs again once you approve it.".to_owned(),
                Some(_) => {
                    let remedy = "The plugin runs again only if it is signed by another key that you trust.";
                    format!("Its key was revoked. {remedy}")
                }
                // Its files are missing.
                None => plugin.reason.clone().unwrap_or_default(),
            };
            ("banner", Shape::Cancelled, "Revoked".to_owned(), detail)
        }
        PluginState::Rejected => {
            ("banner t-bad", Shape::Failed, "Refused".to_owned(), plugin.reason.clone().unwrap_or_default())
        }
    };
    let key = plugin.key_id.clone();
    rsx! {
        div { class: tone,
            Mark { shape }
            div { strong { "{title}" } p { CodeText { text: detail } } }
            if words::has_unknown_key(&plugin) {
                Link {
                    to: address::with_parameters("/plugins", &[("trust", key.as_deref())]),
                    class: "btn btn-s",
                    "Trust key…"
                }
            }
        }
    }
}

#[component]
fn About(plugin: Plugin) -> Element {
    let jobs: Vec<String> = plugin.jobs.iter().map(|job| job.name.clone()).collect();
    rsx! {
        dl { class: "dl about",
            if let Some(description) = &plugin.description {
                dt { "What it does" }
                dd {
                    "{description}"
                    if !jobs.is_empty() {
                        span { class: "muted", " Jobs: {text::list(&jobs)}" }
                    }
                }
            }
            dt { "Publisher" }
            dd { {plugin.publisher.clone().unwrap_or_else(|| "unknown".to_owned())} }
            dt { "Signed by" }
            dd {
                {words::signed_by(&plugin)}
                if let Some(key) = &plugin.key_id {
                    " " span { class: "mono muted", "{key}" }
                }
            }
            if let (Some(version), Some(serial)) = (&plugin.version, plugin.serial) {
                dt { "Version, serial" }
                dd { "{version}, {serial}" }
            }
            if let Some(file) = &plugin.file {
                dt { "File" }
                dd { class: "mono", "{file}" }
            }
            dt { "SHA-256" }
            dd { class: "row flex-nowrap",
                span { class: "mono cut", title: "{plugin.sha256}", "{plugin.sha256}" }
                CopyButton { name: "Copy sha256", text: plugin.sha256.clone() }
            }
            if let Some(at) = plugin.loaded_at {
                dt { "Loaded" }
                dd { title: text::exact(at), {text::age(at, text::now())} }
            }
        }
    }
}

/// The plugin's jobs with their parameters, and the owner's jobs that use them.
#[component]
fn Jobs(plugin: Plugin) -> Element {
    if plugin.jobs.is_empty() {
        return rsx! {};
    }
    let parameters = |schema: &serde_json::Value| {
        let names: Vec<String> = schema
            .get("properties")
            .and_then(serde_json::Value::as_object)
            .map(|properties| properties.keys().cloned().collect())
            .unwrap_or_default();
        if names.is_empty() { "no parameters".to_owned() } else { names.join(", ") }
    };
    rsx! {
        section { class: "stack stack-2", "aria-label": "Jobs",
            h2 { "Jobs" }
            table { class: "table box-table", "aria-label": "Jobs of the plugin",
                thead {
                    tr { th { "Job" } th { "Parameters" } th { "Used by" } }
                }
                tbody {
                    for job in plugin.jobs.clone() {
                        tr { key: "{job.name}",
                            td { class: "name", title: "{job.description}", "{job.name}" }
                            td { class: "mono wrapped", {parameters(&job.params_schema)} }
                            td { class: "wrapped",
                                for user in plugin.used_by.iter().filter(|user| user.plugin_job == job.name) {
                                    Link {
                                        key: "{user.job_id}",
                                        to: "/jobs/{user.job_id}",
                                        class: "link used-by",
                                        "{user.job_name}"
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[component]
fn Limits(plugin: Plugin) -> Element {
    let Some(asked) = &plugin.limits else { return rsx! {} };
    let rows = limits(asked);
    let in_force = plugin.effective_limits.as_ref().map(limits).unwrap_or_default();
    let value_in_force = |index: usize| in_force.get(index).map_or_else(|| "–".to_owned(), |(_, value)| value.clone());
    rsx! {
        section { class: "stack stack-2", "aria-label": "Limits",
            h2 { "Limits" }
            table { class: "table box-table", "aria-label": "Limits",
                thead {
                    tr { th { "Limit" } th { class: "num", "Asked" } th { class: "num", "In force" } }
                }
                tbody {
                    for (index, (label, asked)) in rows.into_iter().enumerate() {
                        tr { key: "{label}",
                            td { "{label}" }
                            td { class: "num", "{asked}" }
                            td { class: "num",
                                {value_in_force(index)}
                            }
                        }
                    }
                }
            }
        }
    }
}

fn limits(limits: &PluginLimits) -> Vec<(&'static str, String)> {
    let seconds = |seconds: u32| text::duration(i64::from(seconds) * 1000);
    vec![
        ("Memory of a run", format!("{} MiB", limits.memory_mib)),
        ("Time of a run", seconds(limits.wall_seconds)),
        ("Processor time of a run", seconds(limits.cpu_seconds)),
        ("Data between host and plugin", format!("{} MiB", limits.host_call_mib)),
        ("Log of a run", format!("{} KiB", limits.log_kib)),
        ("Runs at the same time", limits.concurrent_runs.to_string()),
    ]
}
