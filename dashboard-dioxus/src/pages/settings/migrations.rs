use api_types::{Migration, MigrationState, Page as ApiPage};
use dioxus::prelude::*;

use super::SectionHead;
use crate::{
    remote::{RemoteState, use_remote},
    text,
    ui::{CopyButton, Empty, ErrorBox, Icon, IconName, LoadingTable, Mark, Shape, narrow::use_is_narrow},
};

/// The command that applies what is pending.
const COMMAND: &str = "atlashub migrate";

#[component]
pub(super) fn Migrations() -> Element {
    let mut migrations = use_remote::<ApiPage<Migration>>(use_signal(|| "/migrations".to_owned()).into());
    let known = migrations.value().map(|page| page.items).unwrap_or_default();
    let pending = known.iter().filter(|migration| migration.state == MigrationState::Pending).count() as i64;
    let remark = match (known.len(), pending) {
        (0, _) => "platform database".to_owned(),
        (total, 0) => format!("platform database, all {total} applied"),
        (_, pending) => format!("platform database, {pending} pending"),
    };
    let content = match migrations.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Migrations", columns: 4 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Migrations could not be listed.", failure, on_retry: move |()| migrations.refresh() }
        },
        RemoteState::Ready(page) if page.items.is_empty() => rsx! {
            Empty { title: "No migrations", text: "The platform database has no migrations." }
        },
        RemoteState::Ready(page) => rsx! {
            Notes { migrations: page.items.clone() }
            MigrationList { migrations: page.items }
            div { class: "foot",
                span { class: "push row row-1",
                    span { "Updated {text::clock(migrations.updated_at())}" }
                    button {
                        class: "btn btn-ghost btn-s btn-icon",
                        r#type: "button",
                        "aria-label": "Refresh",
                        onclick: move |_| migrations.refresh(),
                        Icon { name: IconName::Refresh }
                    }
                }
            }
        },
    };
    rsx! {
        SectionHead { title: "Migrations", remark }
        {content}
    }
}

/// What has to be done, if anything.
#[component]
fn Notes(migrations: Vec<Migration>) -> Element {
    let has = |state| migrations.iter().any(|migration| migration.state == state);
    rsx! {
        if has(MigrationState::Pending) {
            div { class: "section mb-4",
                div { class: "banner t-warning", role: "note",
                    Mark { shape: Shape::Attention }
                    div {
                        strong { "Migrations are pending." }
                        p { "AtlasHub applies them when it starts, or when you run " span { class: "mono", "{COMMAND}" } ". Back up the platform first." }
                    }
                    CopyButton { name: "Copy command", label: "Copy command", text: COMMAND }
                }
            }
        }
        if has(MigrationState::Changed) {
            div { class: "section mb-4",
                div { class: "banner t-bad", role: "alert",
                    Mark { shape: Shape::Failed }
                    p { "A migration was applied with another text than this version contains. Restore the release's files; don't edit migrations." }
                }
            }
        }
        if has(MigrationState::Unknown) {
            div { class: "section mb-4",
                div { class: "banner", role: "note",
                    Mark { shape: Shape::Attention }
                    p { "A newer version of AtlasHub has migrated this database. This version works on it as long as it is the previous one." }
                }
            }
        }
    }
}

#[component]
fn MigrationList(migrations: Vec<Migration>) -> Element {
    let newest_first: Vec<Migration> = {
        let mut sorted = migrations;
        sorted.sort_by_key(|migration| std::cmp::Reverse(migration.version));
        sorted
    };
    if use_is_narrow() {
        return rsx! {
            ul { class: "cards", "aria-label": "Migrations",
                for migration in newest_first {
                    li { key: "{migration.version}", class: "card",
                        h3 { class: "mono",
                            Mark { shape: state_shape(migration.state) }
                            span { class: "cut", "{migration.version:04} {migration.name}" }
                        }
                        p {
                            "{state_in_words(migration.state)}"
                            if let Some(at) = migration.applied_at {
                                " {text::date(at)}"
                            }
                        }
                    }
                }
            }
        };
    }
    rsx! {
        table { class: "table", "aria-label": "Migrations",
            thead {
                tr {
                    th { "Version" }
                    th { "Name" }
                    th { "State" }
                    th { class: "num", "When" }
                }
            }
            tbody {
                for migration in newest_first {
                    tr { key: "{migration.version}",
                        td { class: "mono", "{migration.version:04}" }
                        td { class: "mono", "{migration.name}" }
                        td {
                            span { class: "badge", Mark { shape: state_shape(migration.state) } "{state_in_words(migration.state)}" }
                        }
                        td { class: "num muted", title: migration.applied_at.map(text::exact),
                            {migration.applied_at.map(text::date).unwrap_or_else(|| "–".to_owned())}
                        }
                    }
                }
            }
        }
    }
}

fn state_in_words(state: MigrationState) -> &'static str {
    match state {
        MigrationState::Pending => "Pending",
        MigrationState::Applied => "Applied",
        MigrationState::Changed => "Applied with another text",
        MigrationState::Unknown => "Applied by a newer version",
    }
}

fn state_shape(state: MigrationState) -> Shape {
    match state {
        MigrationState::Pending => Shape::Queued,
        MigrationState::Applied => Shape::Succeeded,
        MigrationState::Changed => Shape::Failed,
        MigrationState::Unknown => Shape::Attention,
    }
}
