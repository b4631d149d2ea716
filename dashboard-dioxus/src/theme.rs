//! The owner's choices for this browser: theme, density, time zone, sidebar and shortcuts. `web/theme.js` applies theme
//! and density before the first paint, and applies the theme again when the system switches between dark and light.

use std::cell::Cell;

use dioxus::prelude::*;

/// Number of changes of the theme and of the shortcuts, which several controls show.
static CHANGES: GlobalSignal<u32> = Signal::global(|| 0);

/// Subscribes the calling component to changes of the theme and of the shortcuts.
pub fn subscribe() {
    let _ = CHANGES.read();
}

/// The theme that the owner chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    Dark,
    Light,
    /// Follows the operating system.
    System,
}

impl Theme {
    pub const ALL: [Self; 3] = [Self::Dark, Self::Light, Self::System];

    pub fn label(self) -> &'static str {
        match self {
            Self::Dark => "Dark",
            Self::Light => "Light",
            Self::System => "System",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Light => "light",
            Self::System => "system",
        }
    }
}

/// Returns the chosen theme. The default is dark, whatever the system prefers.
pub fn current() -> Theme {
    let stored = stored("theme");
    Theme::ALL.into_iter().find(|theme| Some(theme.name()) == stored.as_deref()).unwrap_or(Theme::Dark)
}

/// Applies and stores a theme.
pub fn choose(theme: Theme) {
    store("theme", theme.name());
    let Some(window) = web_sys::window() else { return };
    let system_is_light =
        window.match_media("(prefers-color-scheme: light)").ok().flatten().is_some_and(|query| query.matches());
    let is_light = theme == Theme::Light || (theme == Theme::System && system_is_light);
    if let Some(root) = window.document().and_then(|document| document.document_element()) {
        let _ = root.set_attribute("data-theme", if is_light { "light" } else { "dark" });
    }
    *CHANGES.write() += 1;
}

/// The density of tables, which sets the height of their rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Density {
    Compact,
    Comfortable,
}

impl Density {
    pub const ALL: [Self; 2] = [Self::Compact, Self::Comfortable];

    pub fn label(self) -> &'static str {
        match self {
            Self::Compact => "Compact",
            Self::Comfortable => "Comfortable",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Compact => "compact",
            Self::Comfortable => "comfortable",
        }
    }
}

pub fn density() -> Density {
    let stored = stored("density");
    Density::ALL.into_iter().find(|density| Some(density.name()) == stored.as_deref()).unwrap_or(Density::Compact)
}

/// Applies and stores a density.
pub fn choose_density(density: Density) {
    store("density", density.name());
    let document = web_sys::window().and_then(|window| window.document());
    if let Some(root) = document.and_then(|document| document.document_element()) {
        let _ = root.set_attribute("data-density", density.name());
    }
}

/// The zone in which times of the platform are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    Local,
    Utc,
}

thread_local! {
    /// The chosen zone. Cached, because the text of every time depends on it.
    static TIMES: Cell<Option<Times>> = const { Cell::new(None) };
}

impl Times {
    pub const ALL: [Self; 2] = [Self::Local, Self::Utc];

    pub fn label(self) -> &'static str {
        match self {
            Self::Local => "Local",
            Self::Utc => "UTC",
        }
    }
}

/// Returns the chosen zone. The default is the browser's own.
pub fn times() -> Times {
    if let Some(times) = TIMES.get() {
        return times;
    }
    let times = if stored("times").as_deref() == Some("utc") { Times::Utc } else { Times::Local };
    TIMES.set(Some(times));
    times
}

/// Stores the zone. Pages that are opened from now on use it.
pub fn choose_times(times: Times) {
    store("times", if times == Times::Utc { "utc" } else { "local" });
    TIMES.set(Some(times));
}

/// Returns whether the owner collapsed the sidebar.
pub fn is_sidebar_collapsed() -> bool {
    stored("sidebar").as_deref() == Some("collapsed")
}

/// Stores whether the sidebar is collapsed.
pub fn collapse_sidebar(collapsed: bool) {
    store("sidebar", if collapsed { "collapsed" } else { "expanded" });
}

/// Returns whether the shortcuts of a single key, such as `c` and `?`, are on. They can be switched off, because speech
/// input may trigger them.
pub fn has_single_key_shortcuts() -> bool {
    stored("shortcuts").as_deref() != Some("off")
}

/// Switches the shortcuts of a single key on or off.
pub fn set_single_key_shortcuts(enabled: bool) {
    store("shortcuts", if enabled { "on" } else { "off" });
    *CHANGES.write() += 1;
}

fn stored(name: &str) -> Option<String> {
    storage()?.get_item(&format!("atlashub.{name}")).ok().flatten()
}

fn store(name: &str, value: &str) {
    if let Some(storage) = storage() {
        let _ = storage.set_item(&format!("atlashub.{name}"), value);
    }
}

fn storage() -> Option<web_sys::Storage> {
    web_sys::window()?.local_storage().ok().flatten()
}
