//! The pages that navigation, palette and shortcuts lead to. To add a page, add its route to [`crate::route`], its
//! module to `src/lazy/pages.rs` and `src/lazy/links.rs`, and a line here.

use super::last_project;
use crate::{
    address,
    remote::{ProjectBrief, RemoteState},
    route::Route,
    ui::IconName,
};

/// A page of the platform or of a project. Every project has the same pages, such as Tables or Settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) label: &'static str,
    pub(super) icon: IconName,
    /// Path of the address. For a page of a project, the part after the address of the project.
    pub(super) path: &'static str,
    /// The key that opens the page when it is pressed after `g`.
    pub(super) key: Option<&'static str>,
    /// Other words by which the command palette finds the page.
    pub(super) words: &'static str,
}

const fn destination(
    label: &'static str,
    icon: IconName,
    path: &'static str,
    key: Option<&'static str>,
    words: &'static str,
) -> Destination {
    Destination { label, icon, path, key, words }
}

/// The pages of a project, in the order of the navigation.
pub(super) const PROJECT_PAGES: &[Destination] = &[
    destination("Overview", IconName::Overview, "", None, "connect"),
    destination(
        "Tables",
        IconName::Table,
        "/tables",
        Some("t"),
        "rows columns policies policy access row-level security",
    ),
    destination("SQL", IconName::Sql, "/sql", Some("s"), "query editor policies policy functions"),
    destination("Storage", IconName::Bucket, "/storage", Some("f"), "buckets files objects upload"),
    destination("Users", IconName::Account, "/users", Some("u"), "login auth sign-up mail"),
    destination("API keys", IconName::Key, "/keys", Some("k"), "secret publishable token"),
    destination("Jobs", IconName::Clock, "/jobs", None, "cron schedule"),
    destination("Database tools", IconName::Database, "/database", None, "backup restore import export"),
    destination("Settings", IconName::Settings, "/settings", None, "allowed origins CORS rename delete protection"),
];

/// The pages of the platform, in the order of the navigation.
pub(super) const PLATFORM: &[Destination] = &[
    destination("Overview", IconName::Overview, "/", Some("o"), "health"),
    destination("Projects", IconName::Project, "/projects", Some("p"), ""),
    destination("Jobs", IconName::Clock, "/jobs", Some("j"), "cron schedule"),
    destination("Backups", IconName::Archive, "/backups", Some("b"), "restore protection"),
    destination("Plugins", IconName::Plug, "/plugins", Some("l"), "trusted keys"),
    destination("Notifications", IconName::Bell, "/notifications", Some("n"), "channels mail webhook Discord"),
    destination("Audit log", IconName::Audit, "/audit", Some("a"), "history"),
    destination(
        "Settings",
        IconName::Settings,
        "/settings",
        Some(","),
        "configuration rate limits environment variables migrations sessions theme",
    ),
];

/// Pages without a link in the navigation, each with the path of the platform page that it belongs to. The path is
/// empty if it belongs to none.
pub(super) const UNLISTED: &[(Destination, &str)] = &[
    (destination("Runs", IconName::List, "/runs", Some("r"), "logs history"), "/jobs"),
    (destination("Components", IconName::View, "/ui", None, ""), ""),
];

/// Returns the id of the project that a page belongs to.
pub(super) fn project_of(route: &Route) -> Option<String> {
    project_and_rest(&route.to_string()).map(|(id, _)| id.to_owned())
}

/// Returns the id of the project that the frame shows as open: that of the page or of a new job. Pages of the platform
/// keep the project that was open before, so that its pages stay one click away.
pub(super) fn open_project(route: &Route) -> Option<String> {
    project_of_page(route).or_else(last_project::get)
}

/// Returns the id of the project that a page or a new job belongs to.
pub(super) fn project_of_page(route: &Route) -> Option<String> {
    match route {
        Route::NewJob {} => address::parameter("project").filter(|id| !id.is_empty()),
        route => project_of(route),
    }
}

/// Returns the name of a project: `No such project` if the project does not exist, and an empty text while the name is
/// unknown.
pub(super) fn name_of_project(project: &RemoteState<ProjectBrief>) -> String {
    match project {
        RemoteState::Ready(project) => project.name.clone(),
        RemoteState::Failed(failure) if failure.is_not_found() => "No such project".to_owned(),
        RemoteState::Failed(_) | RemoteState::Loading => String::new(),
    }
}

/// Returns the page of a project to which an address belongs.
pub(super) fn project_page_of(route: &Route) -> Option<&'static Destination> {
    let path = route.to_string();
    let (_, rest) = project_and_rest(&path)?;
    PROJECT_PAGES.iter().find(|project_page| project_page.path.trim_start_matches('/') == first_segment(rest))
}

/// Returns the page of the platform that a page belongs to.
pub(super) fn platform_page_of(route: &Route) -> Option<&'static Destination> {
    let path = route.to_string();
    if project_and_rest(&path).is_some() {
        return None;
    }
    let path = format!("/{}", first_segment(&path));
    let parent = UNLISTED.iter().find(|(destination, _)| destination.path == path).map(|(_, parent)| *parent);
    PLATFORM.iter().find(|destination| destination.path == parent.unwrap_or(path.as_str()))
}

/// Returns the page of [`UNLISTED`] that a page belongs to.
pub(super) fn unlisted_page_of(route: &Route) -> Option<&'static Destination> {
    let path = format!("/{}", first_segment(&route.to_string()));
    UNLISTED.iter().map(|(destination, _)| destination).find(|destination| destination.path == path)
}

/// Returns the address of a page of a project.
pub(super) fn project_page_address(project: &str, project_page: &Destination) -> String {
    format!("/projects/{project}{}", project_page.path)
}

/// Returns whether a route is a destination itself, not a page below one. Compares only the number of segments.
pub(super) fn is_destination(route: &Route) -> bool {
    let path = route.to_string();
    let depth = path.split('/').filter(|segment| !segment.is_empty()).count();
    match project_and_rest(&path) {
        Some(_) => depth <= 3,
        None => depth <= 1,
    }
}

/// Splits `/projects/<id>/rest`.
fn project_and_rest(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix("/projects/")?;
    let (id, rest) = path.split_once('/').unwrap_or((path, ""));
    (!id.is_empty() && id != "new").then_some((id, rest))
}

fn first_segment(path: &str) -> &str {
    let path = path.trim_start_matches('/');
    path.split(['/', '?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str) -> Route {
        path.parse().unwrap_or(Route::NotFound { path: Vec::new() })
    }

    #[test]
    fn pages_of_a_project_are_found_by_their_path() {
        for (path, project_page) in [
            ("/projects/abc", Some("Overview")),
            ("/projects/abc/tables", Some("Tables")),
            ("/projects/abc/keys", Some("API keys")),
            ("/projects/abc/nothing", None),
            ("/projects/new", None),
            ("/runs", None),
        ] {
            assert_eq!(project_page_of(&route(path)).map(|project_page| project_page.label), project_page, "{path}");
        }
    }

    #[test]
    fn pages_of_the_platform_are_found_by_their_first_segment() {
        for (path, page) in [
            ("/", Some("Overview")),
            ("/projects", Some("Projects")),
            ("/projects/new", Some("Projects")),
            ("/projects/abc", None),
            ("/ui", None),
        ] {
            assert_eq!(platform_page_of(&route(path)).map(|destination| destination.label), page, "{path}");
        }
    }

    #[test]
    fn new_project_is_not_a_project() {
        assert_eq!(project_of(&route("/projects/new")), None);
        assert_eq!(project_of(&route("/projects/abc/sql")).as_deref(), Some("abc"));
    }
}
