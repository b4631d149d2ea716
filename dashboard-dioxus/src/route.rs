//! The paths of the pages. [`crate::address`] handles the queries of addresses.
//!
//! This module does not use the router's derive macro, which would generate 30 KB of code, most of it for errors that
//! can't occur here: the last route matches every path.

use std::{
    convert::Infallible,
    fmt::{self, Display, Formatter},
    str::FromStr,
};

use dioxus::{
    prelude::*,
    router::{Routable, SiteMapSegment},
};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::{
    frame::Frame,
    lazy::{
        Audit, Backups, Bucket, Components, DatabaseTools, Job, Jobs, Keys, NewJob, NewProject, Notifications, Plugins,
        Project, ProjectJobs, ProjectSettings, Projects, Run, Runs, Settings, SignIn, Sql, Storage, Tables, Users,
    },
    pages::{not_found::NotFound, overview::Overview},
};

/// Characters that are percent-encoded in a segment of a path.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// The pages by path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/`
    Overview {},
    /// `/projects`
    Projects {},
    /// `/projects/new`
    NewProject {},
    /// `/projects/:id`
    Project { id: String },
    /// `/projects/:id/tables`
    Tables { id: String },
    /// `/projects/:id/sql`
    Sql { id: String },
    /// `/projects/:id/storage`
    Storage { id: String },
    /// `/projects/:id/storage/:bucket`
    Bucket { id: String, bucket: String },
    /// `/projects/:id/users`
    Users { id: String },
    /// `/projects/:id/keys`
    Keys { id: String },
    /// `/projects/:id/jobs`
    ProjectJobs { id: String },
    /// `/projects/:id/database`
    DatabaseTools { id: String },
    /// `/projects/:id/settings`
    ProjectSettings { id: String },
    /// `/jobs`
    Jobs {},
    /// `/jobs/new`
    NewJob {},
    /// `/jobs/:id`
    Job { id: String },
    /// `/backups`
    Backups {},
    /// `/plugins`
    Plugins {},
    /// `/runs`
    Runs {},
    /// `/runs/:id`
    Run { id: String },
    /// `/notifications`
    Notifications {},
    /// `/audit`
    Audit {},
    /// `/settings`
    Settings {},
    /// `/ui`
    Components {},
    /// `/sign-in`
    SignIn {},
    /// Every other path.
    NotFound { path: Vec<String> },
}

impl Route {
    /// Returns the page.
    fn page(&self) -> Element {
        match self {
            Self::Overview {} => rsx! { Overview {} },
            Self::Projects {} => rsx! { Projects {} },
            Self::NewProject {} => rsx! { NewProject {} },
            Self::Project { id } => rsx! { Project { id: id.clone() } },
            Self::Tables { id } => rsx! { Tables { id: id.clone() } },
            Self::Sql { id } => rsx! { Sql { id: id.clone() } },
            Self::Storage { id } => rsx! { Storage { id: id.clone() } },
            Self::Bucket { id, bucket } => rsx! { Bucket { id: id.clone(), bucket: bucket.clone() } },
            Self::Users { id } => rsx! { Users { id: id.clone() } },
            Self::Keys { id } => rsx! { Keys { id: id.clone() } },
            Self::ProjectJobs { id } => rsx! { ProjectJobs { id: id.clone() } },
            Self::DatabaseTools { id } => rsx! { DatabaseTools { id: id.clone() } },
            Self::ProjectSettings { id } => rsx! { ProjectSettings { id: id.clone() } },
            Self::Jobs {} => rsx! { Jobs {} },
            Self::NewJob {} => rsx! { NewJob {} },
            Self::Job { id } => rsx! { Job { id: id.clone() } },
            Self::Backups {} => rsx! { Backups {} },
            Self::Plugins {} => rsx! { Plugins {} },
            Self::Runs {} => rsx! { Runs {} },
            Self::Run { id } => rsx! { Run { id: id.clone() } },
            Self::Notifications {} => rsx! { Notifications {} },
            Self::Audit {} => rsx! { Audit {} },
            Self::Settings {} => rsx! { Settings {} },
            Self::Components {} => rsx! { Components {} },
            Self::SignIn {} => rsx! { SignIn {} },
            Self::NotFound { path } => rsx! { NotFound { path: path.clone() } },
        }
    }
}

impl Display for Route {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let segments: &[&str] = match self {
            Self::Overview {} => &[],
            Self::Projects {} => &["projects"],
            Self::NewProject {} => &["projects", "new"],
            Self::Project { id } => &["projects", id],
            Self::Tables { id } => &["projects", id, "tables"],
            Self::Sql { id } => &["projects", id, "sql"],
            Self::Storage { id } => &["projects", id, "storage"],
            Self::Bucket { id, bucket } => &["projects", id, "storage", bucket],
            Self::Users { id } => &["projects", id, "users"],
            Self::Keys { id } => &["projects", id, "keys"],
            Self::ProjectJobs { id } => &["projects", id, "jobs"],
            Self::DatabaseTools { id } => &["projects", id, "database"],
            Self::ProjectSettings { id } => &["projects", id, "settings"],
            Self::Jobs {} => &["jobs"],
            Self::NewJob {} => &["jobs", "new"],
            Self::Job { id } => &["jobs", id],
            Self::Backups {} => &["backups"],
            Self::Plugins {} => &["plugins"],
            Self::Runs {} => &["runs"],
            Self::Run { id } => &["runs", id],
            Self::Notifications {} => &["notifications"],
            Self::Audit {} => &["audit"],
            Self::Settings {} => &["settings"],
            Self::Components {} => &["ui"],
            Self::SignIn {} => &["sign-in"],
            Self::NotFound { path } => &path.iter().map(String::as_str).collect::<Vec<_>>(),
        };
        write_path(f, segments)
    }
}

impl FromStr for Route {
    type Err = Infallible;

    fn from_str(address: &str) -> Result<Self, Infallible> {
        let path = address.split(['?', '#']).next().unwrap_or_default();
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let segments: Vec<_> = segments.map(|segment| percent_decode_str(segment).decode_utf8_lossy()).collect();
        let segments: Vec<&str> = segments.iter().map(|segment| &**segment).collect();
        Ok(match segments.as_slice() {
            [] => Self::Overview {},
            ["projects"] => Self::Projects {},
            ["projects", "new"] => Self::NewProject {},
            ["projects", id] => Self::Project { id: (*id).to_owned() },
            ["projects", id, "tables"] => Self::Tables { id: (*id).to_owned() },
            ["projects", id, "sql"] => Self::Sql { id: (*id).to_owned() },
            ["projects", id, "storage"] => Self::Storage { id: (*id).to_owned() },
            ["projects", id, "storage", bucket] => Self::Bucket { id: (*id).to_owned(), bucket: (*bucket).to_owned() },
            ["projects", id, "users"] => Self::Users { id: (*id).to_owned() },
            ["projects", id, "keys"] => Self::Keys { id: (*id).to_owned() },
            ["projects", id, "jobs"] => Self::ProjectJobs { id: (*id).to_owned() },
            ["projects", id, "database"] => Self::DatabaseTools { id: (*id).to_owned() },
            ["projects", id, "settings"] => Self::ProjectSettings { id: (*id).to_owned() },
            ["jobs"] => Self::Jobs {},
            ["jobs", "new"] => Self::NewJob {},
            ["jobs", id] => Self::Job { id: (*id).to_owned() },
            ["backups"] => Self::Backups {},
            ["plugins"] => Self::Plugins {},
            ["runs"] => Self::Runs {},
            ["runs", id] => Self::Run { id: (*id).to_owned() },
            ["notifications"] => Self::Notifications {},
            ["audit"] => Self::Audit {},
            ["settings"] => Self::Settings {},
            ["ui"] => Self::Components {},
            ["sign-in"] => Self::SignIn {},
            path => Self::NotFound { path: path.iter().map(|&segment| segment.to_owned()).collect() },
        })
    }
}

impl Routable for Route {
    const SITE_MAP: &'static [SiteMapSegment] = &[];

    fn render(&self, level: usize) -> Element {
        match (level, self) {
            // The sign-in page is the only page without the frame.
            (0, Self::SignIn {}) => self.page(),
            (0, _) => rsx! { Frame {} },
            (1, _) => self.page(),
            _ => VNode::empty(),
        }
    }
}

fn write_path(f: &mut Formatter<'_>, segments: &[&str]) -> fmt::Result {
    if segments.is_empty() {
        return f.write_str("/");
    }
    segments.iter().try_for_each(|segment| write!(f, "/{}", utf8_percent_encode(segment, ENCODED)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(address: &str) -> Route {
        address.parse().unwrap()
    }

    #[test]
    fn path_of_every_page_parses_to_the_same_page() {
        for path in [
            "/",
            "/projects",
            "/projects/new",
            "/projects/proj_1",
            "/projects/proj_1/tables",
            "/projects/proj_1/sql",
            "/projects/proj_1/storage",
            "/projects/proj_1/storage/photos",
            "/projects/proj_1/users",
            "/projects/proj_1/keys",
            "/projects/proj_1/jobs",
            "/projects/proj_1/database",
            "/projects/proj_1/settings",
            "/jobs",
            "/jobs/new",
            "/jobs/proj_1",
            "/backups",
            "/plugins",
            "/runs",
            "/runs/proj_1",
            "/notifications",
            "/audit",
            "/settings",
            "/ui",
            "/sign-in",
        ] {
            let route = route(path);
            assert_eq!(route.to_string(), path);
            assert!(!matches!(route, Route::NotFound { .. }), "{path}");
        }
    }

    #[test]
    fn query_fragment_and_trailing_slash_do_not_matter() {
        assert_eq!(route("/projects/proj_1/tables/?table=a/b#c"), Route::Tables { id: "proj_1".to_owned() });
        assert_eq!(route(""), Route::Overview {});
    }

    #[test]
    fn special_characters_survive() {
        let bucket = Route::Bucket { id: "proj_1".to_owned(), bucket: "a/b?c#d %2F\u{e9}".to_owned() };
        assert_eq!(route(&bucket.to_string()), bucket);
    }

    #[test]
    fn other_paths_are_not_found() {
        let path = vec!["no".to_owned(), "such page".to_owned()];
        assert_eq!(route("/no/such%20page"), Route::NotFound { path });
    }
}
