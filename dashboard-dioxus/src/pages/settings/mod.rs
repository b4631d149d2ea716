//! `/settings`: the running platform, its configuration and migrations, the owner's sessions, and the appearance of the
//! dashboard in this browser. Each section has a module, whose name is in the address. [`apply`] is a part of
//! [`migrations`].

mod appearance;
mod apply;
mod configuration;
mod general;
mod migrations;
mod sessions;

use api_types::{Migration, MigrationState, Page as ApiPage};
use dioxus::prelude::*;

use crate::{address, dom, frame::page::Page, remote::use_remote, ui::Link};
use appearance::Appearance;
use configuration::Configuration;
use general::General;
use migrations::Migrations;
use sessions::Sessions;

/// The sections: their name in the address, and their label.
const SECTIONS: [(&str, &str); 5] = [
    ("general", "General"),
    ("configuration", "Configuration"),
    ("migrations", "Migrations"),
    ("sessions", "Sessions"),
    ("appearance", "Appearance"),
];

#[component]
pub fn Settings() -> Element {
    let asked = address::use_parameter("section").unwrap_or_default();
    let section = SECTIONS.iter().map(|(name, _)| *name).find(|name| *name == asked).unwrap_or("general");
    let migrations = use_remote::<ApiPage<Migration>>(use_signal(|| "/migrations?limit=200".to_owned()).into());
    let pending = migrations
        .value()
        .map_or(0, |page| page.items.iter().filter(|migration| migration.state == MigrationState::Pending).count());
    // On a phone, the sections are in one line that scrolls.
    use_effect(use_reactive!(|section| {
        spawn(async move {
            dom::next_frame().await;
            show_link(section);
        });
    }));
    rsx! {
        Page { title: "Settings", own_head: true, class: "main-split",
            div { class: "split settings",
                aside { class: "side",
                    nav { class: "rows", "aria-label": "Settings sections",
                        for (name, label) in SECTIONS {
                            Link { key: "{name}", to: "/settings?section={name}", current: name == section,
                                "{label}"
                                if name == "migrations" && pending > 0 {
                                    span { class: "n", "{pending}" }
                                }
                            }
                        }
                    }
                }
                div { class: "pane",
                    div { class: "head",
                        div { h1 { id: "h1", "Settings" } }
                    }
                    match section {
                        "configuration" => rsx! { Configuration {} },
                        "migrations" => rsx! { Migrations {} },
                        "sessions" => rsx! { Sessions {} },
                        "appearance" => rsx! { Appearance {} },
                        _ => rsx! { General {} },
                    }
                }
            }
        }
    }
}

/// Scrolls the list of sections sideways, so that the link of a section is shown.
fn show_link(section: &str) {
    let link = dom::find(&format!(".settings > .side [href$='section={section}']"));
    let (Some(side), Some(link)) = (dom::find(".settings > .side"), link) else { return };
    let (around, bounds) = (side.get_bounding_client_rect(), link.get_bounding_client_rect());
    let before = (around.left() - bounds.left()).max(0.0).ceil();
    let after = (bounds.right() - around.right()).max(0.0).ceil();
    side.set_scroll_left(side.scroll_left() + (after - before) as i32);
}

/// The heading of a section, with a remark.
#[component]
fn SectionHead(title: &'static str, #[props(default)] remark: String, children: Element) -> Element {
    rsx! {
        div { class: "section settings-head",
            div { class: "section-head",
                h2 { "{title}" }
                if !remark.is_empty() {
                    span { class: "label", "{remark}" }
                }
                {children}
            }
        }
    }
}
