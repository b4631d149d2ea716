//! The frame around every page except the sign-in page: sidebar, top bar, uploads, messages, and the states of the
//! whole app.
//!
//! [`gate`] contains the views that are shown while the app starts, without a server, and without a session.
//! [`navigation`] contains the links of the sidebar and of the phone's menu, and [`top_bar`] the breadcrumb and the
//! menus. [`page`] is the frame of one page, and [`notices`] are the bars above it. [`offline`] disables actions while
//! the server is unreachable. [`destinations`] lists the pages, and [`help`] explains the lists on these pages.
//! [`last_project`] remembers the open project. [`overlay`] opens the dialogs over a page: [`palette`], [`switcher`],
//! [`running`], [`shortcuts`] and the phone's menu. The palette runs [`commands`].

mod commands;
mod destinations;
pub mod gate;
pub mod help;
mod last_project;
mod navigation;
mod notices;
mod offline;
pub mod overlay;
pub mod page;
pub mod palette;
pub mod running;
pub mod shortcuts;
pub mod switcher;
mod top_bar;

use dioxus::prelude::*;

use crate::{
    address, dom,
    lazy::{EventStream, NewKeysDialog, Palette, RunningWork, SessionUnchecked, Shortcuts, Switcher},
    pages::storage::upload::UploadDock,
    remote::{
        SystemBrief, connection,
        session::{self, SessionState},
        use_remote,
    },
    route::Route,
    startup,
    ui::messages::Messages,
};
pub use gate::ServerGone;
use gate::SessionEnded;
use help::Help;
use navigation::{Drawer, Sidebar};
use notices::Notices;
use overlay::Overlay;
use top_bar::TopBar;

/// The layout of all pages but the sign-in.
#[component]
pub fn Frame() -> Element {
    address::use_first();
    use_hook(|| spawn(session::start()));
    use_effect(|| {
        if matches!(session::state(), SessionState::SignedIn { .. }) {
            gate::note_signed_in();
        }
    });
    match session::state() {
        SessionState::Unknown => gate::skeleton(),
        SessionState::SignedOut { .. } => gate::to_sign_in(),
        SessionState::Unreachable => rsx! { ServerGone {} },
        SessionState::Unchecked(failure) => rsx! { SessionUnchecked { failure } },
        state => rsx! {
            SignedInFrame {}
            if state == SessionState::Ended {
                SessionEnded {}
            }
        },
    }
}

#[component]
fn SignedInFrame() -> Element {
    use_hook(|| spawn(connection::watch()));
    use_hook(shortcuts::listen);
    let route: Route = use_route();
    let project = last_project::use_open_project();
    let system = use_remote::<SystemBrief>(use_signal(|| "/system".to_owned()).into());
    if let Some(system) = system.value() {
        startup::panic_if_asked(&system.environment);
    }
    rsx! {
        a {
            class: "skip",
            href: "#main-content",
            // Keeps the address: the router would take the fragment for another page.
            onclick: |event| {
                event.prevent_default();
                dom::focus("#main-content");
            },
            "Skip to content"
        }
        div { class: "app",
            Sidebar { project: project.clone() }
            TopBar { project: destinations::project_of(&route) }
            div { class: "content",
                Notices {}
                Outlet::<Route> {}
            }
        }
        Help {}
        NewKeysDialog {}
        match overlay::current() {
            None => rsx! {},
            Some(Overlay::Palette) => rsx! { Palette { project } },
            Some(Overlay::Switcher) => rsx! { Switcher { project } },
            Some(Overlay::Running) => rsx! { RunningWork {} },
            Some(Overlay::Shortcuts) => rsx! { Shortcuts {} },
            Some(Overlay::Menu) => rsx! { Drawer { project } },
        }
        UploadDock {}
        EventStream {}
        Messages {}
    }
}
