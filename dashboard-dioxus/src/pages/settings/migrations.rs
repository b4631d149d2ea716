//! The section "Migrations" of the settings: the migrations of the platform database, and a button that applies the
//! pending ones.

use api_types::{Migration, MigrationState, Page as ApiPage};
use dioxus::prelude::*;

use super::{
    SectionHead,
    apply::{ApplyRun, Pending},
};
use crate::{
    remote::{RemoteState, use_remote},
    text,
    ui::{Empty, ErrorBox, Icon, IconName, LoadingTable, Mark, Shape, narrow::use_is_narrow},
};

#[component]
pub(super) fn Migrations() -> Element {
    let mut migrations = use_remote::<ApiPage<Migration>>(use_signal(|| "/migrations?limit=200".to_owned()).into());
    // The id of the run that applies migrations, if it was started on this page.
    let started = use_signal(|| None::<String>);
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
            ErrorBox { what: "Migrations could not be loaded.", failure, on_retry: move |()| migrations.refresh() }
        },
        RemoteState::Ready(page) if page.items.is_empty() => rsx! {
            Empty { title: "No migrations", text: "The platform database has no migrations." }
        },
        RemoteState::Ready(page) => rsx! {
            if pending > 0 && started.read().is_none() {
                Pending { count: pending, started }
            }
            // Dioxus compares keys only in lists, so this is a loop instead of a condition: another run must create a
            // new component.
            for id in started() {
                ApplyRun { key: "{id}", id, started }
            }
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

/// Notes about migrations whose files were changed after they were applied, and about migrations of a newer version.
#[component]
fn Notes(migrations: Vec<Migration>) -> Element {
    let has = |state| migrations.iter().any(|migration| migration.state == state);
    rsx! {
        if has(MigrationState::Changed) {
            div { class: "section mb-4",
                div { class: "banner t-bad", role: "alert",
                    Mark { shape: Shape::Failed }
                    p {
                        "The file of an applied migration was changed. Use the unchanged files of the release: "
                        "changing a file does not change a database that was already migrated."
                    }
                }
            }
        }
        if has(MigrationState::Unknown) {
            div { class: "section mb-4",
                div { class: "banner", role: "note",
                    Mark { shape: Shape::Attention }
                    p {
                        "A newer version of AtlasHub has migrated this database. "
                        "This version works with the database only if the newer version is its direct successor."
                    }
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
                            span {
                                class: "badge",
                                Mark { shape: state_shape(migration.state) }
                                "{state_in_words(migration.state)}"
                            }
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
        MigrationState::Changed => "Applied, changed since",
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
