//! The section "General" of the settings: version, services, disks and processes.

use api_types::{DiskSpace, Node, Reachability, SystemInfo};
use dioxus::prelude::*;

use super::SectionHead;
use crate::{
    remote::{RemoteState, use_remote},
    text,
    ui::{CopyButton, ErrorBox, LoadingTable, Mark, Shape, narrow::use_is_narrow},
};

#[component]
pub(super) fn General() -> Element {
    let mut system = use_remote::<SystemInfo>(use_signal(|| "/system".to_owned()).into());
    let content = match system.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "General", columns: 2 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "The system could not be loaded.", failure, on_retry: move |()| system.refresh() }
        },
        RemoteState::Ready(system) => rsx! {
            Facts { system: system.clone() }
            Disks { disks: system.disks }
            Nodes { nodes: system.nodes }
        },
    };
    rsx! {
        SectionHead { title: "General" }
        {content}
    }
}

#[component]
fn Facts(system: SystemInfo) -> Element {
    let postgres = system.postgres_version.clone().unwrap_or_else(|| "Postgres".to_owned());
    let services = if system.embedded {
        "AtlasHub runs its own Postgres and object store"
    } else {
        "Postgres and the object store run elsewhere"
    };
    let uptime = text::now() - system.started_at;
    rsx! {
        div { class: "section",
            dl { class: "dl system-facts",
                dt { "Version" }
                dd { "{system.version}" }
                dt { "Environment" }
                dd { "{system.environment}" }
                dt { "Role" }
                dd { "{role_in_words(&system.role)}" }
                dt { "Started" }
                dd { title: text::exact(system.started_at),
                    "{text::day_and_time(system.started_at)} "
                    span { class: "muted", "({text::duration_in_words(uptime)} ago)" }
                }
                dt { "Postgres" }
                dd { Service { name: postgres, state: system.postgres.clone() } }
                dt { "Object store" }
                dd { Service { name: system.storage_public_endpoint.clone(), state: system.store.clone() } }
                dt { "Services" }
                dd { "{services}" }
                dt { "Public URL" }
                dd { class: "row",
                    span { class: "mono", "{system.public_url}" }
                    CopyButton { name: "Copy public URL", text: system.public_url.clone() }
                }
                dt { "Connections to projects" }
                dd { "{system.project_connections} of {system.project_connection_budget}" }
                if let Some(bytes) = system.platform_database_bytes {
                    dt { "Platform database" }
                    dd { "{text::bytes(bytes)}" }
                }
                dt { "Folder with plugins" }
                dd { class: "mono", "{system.plugin_dir}" }
            }
        }
    }
}

fn role_in_words(role: &str) -> &str {
    match role {
        "all" => "Everything: requests and jobs",
        "gateway" => "Gateway: requests",
        "scheduler" => "Scheduler: jobs",
        other => other,
    }
}

#[component]
fn Service(name: String, state: Reachability) -> Element {
    let latency = state.latency_ms.map(|milliseconds| format!("responds in {milliseconds:.0} ms"));
    rsx! {
        span { class: "badge",
            Mark { shape: if state.reachable { Shape::Succeeded } else { Shape::Failed } }
            span { class: "cut", "{name}" }
        }
        if let Some(latency) = latency.filter(|_| state.reachable) {
            span { class: "muted", " {latency}" }
        }
        if let Some(problem) = &state.problem {
            p { role: "alert", "{problem}" }
        }
    }
}

#[component]
fn Disks(disks: Vec<DiskSpace>) -> Element {
    if disks.is_empty() {
        return rsx! {};
    }
    rsx! {
        section { class: "section", "aria-label": "Disks",
            div { class: "section-head", h2 { "Disks" } }
            ul { class: "disks",
                for disk in disks {
                    li { key: "{disk.purpose}",
                        div { class: "row",
                            if disk.low {
                                span { class: "badge", Mark { shape: Shape::Attention } "Nearly full" }
                            }
                            span { class: "mono cut grow", title: "{disk.path}", "{disk.path}" }
                            span { class: "label muted tab-nums",
                                "{text::bytes(disk.free_bytes)} free of {text::bytes(disk.total_bytes)}"
                            }
                        }
                        div {
                            class: if disk.low { "bar bad" } else { "bar" },
                            style: "--p:{100.0 - disk.free_percent:.0}%",
                            i {}
                        }
                    }
                }
            }
        }
    }
}

#[component]
fn Nodes(nodes: Vec<Node>) -> Element {
    let alive = nodes.iter().filter(|node| node.alive).count() as i64;
    let is_narrow = use_is_narrow();
    rsx! {
        section { class: "bleed mt-5", "aria-label": "Nodes",
            div { class: "section",
                div { class: "section-head", h2 { "Nodes" } span { class: "label", "{text::number(alive)} alive" } }
            }
            if is_narrow {
                ul { class: "cards", "aria-label": "Nodes",
                    for node in nodes {
                        NodeCard { key: "{node.id}", node }
                    }
                }
            } else {
                NodeTable { nodes }
            }
        }
    }
}

#[component]
fn NodeTable(nodes: Vec<Node>) -> Element {
    let now = text::now();
    rsx! {
        table { class: "table", "aria-label": "Nodes",
            thead {
                tr {
                    th { "Node" }
                    th { "State" }
                    th { "Role" }
                    th { class: "hide-800", "Version" }
                    th { class: "num hide-800", "Started" }
                    th { class: "num", "Last seen" }
                }
            }
            tbody {
                for node in nodes {
                    tr { key: "{node.id}", class: if !node.alive { "is-off" },
                        td { class: "mono",
                            "{short_id(&node)}"
                            if node.current {
                                span { class: "tag ml-2", "this one" }
                            }
                        }
                        td { NodeState { alive: node.alive } }
                        td { "{node.role}" }
                        td { class: "hide-800", "{node.version}" }
                        td { class: "num muted hide-800", title: text::exact(node.started_at),
                            "{text::age(node.started_at, now)}"
                        }
                        td { class: "num muted", title: text::exact(node.last_seen_at),
                            "{text::age(node.last_seen_at, now)}"
                        }
                    }
                }
            }
        }
    }
}

#[component]
fn NodeCard(node: Node) -> Element {
    let now = text::now();
    rsx! {
        li { class: "card",
            h3 {
                span { class: "mono grow", "{short_id(&node)}" }
                if node.current {
                    span { class: "tag", "this one" }
                }
            }
            p { NodeState { alive: node.alive } " · {node.role} · {node.version}" }
            p { "Started {text::age(node.started_at, now)} · last seen {text::age(node.last_seen_at, now)}" }
        }
    }
}

#[component]
fn NodeState(alive: bool) -> Element {
    rsx! {
        span { class: "badge",
            Mark { shape: if alive { Shape::Succeeded } else { Shape::Skipped } }
            if alive { "Alive" } else { "Gone" }
        }
    }
}

fn short_id(node: &Node) -> &str {
    node.id.get(..8).unwrap_or(&node.id)
}
