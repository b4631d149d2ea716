//! The pages that navigation, palette and shortcuts open, in one list.

use crate::{app::Route, ui::IconName};

/// A page of the platform or of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) label: &'static str,
    pub(super) icon: IconName,
    /// Address. For a page of a project: the part after the project's address.
    pub(super) path: &'static str,
    /// The key that opens it after `g`.
    pub(super) key: Option<&'static str>,
}

/// The pages of a project, in the order of the navigation.
pub(super) const ROOMS: &[Place] = &[
    Place { label: "Overview", icon: IconName::Overview, path: "", key: None },
    Place { label: "Tables", icon: IconName::Table, path: "/tables", key: Some("t") },
    Place { label: "SQL", icon: IconName::Sql, path: "/sql", key: Some("s") },
    Place { label: "API keys", icon: IconName::Key, path: "/keys", key: Some("k") },
    Place { label: "Settings", icon: IconName::Settings, path: "/settings", key: None },
];

/// The pages of the platform, in the order of the navigation.
pub(super) const PLATFORM: &[Place] = &[
    Place { label: "Overview", icon: IconName::Overview, path: "/", key: Some("o") },
    Place { label: "Projects", icon: IconName::Project, path: "/projects", key: Some("p") },
];

/// Returns the id of the project that a page belongs to.
pub(super) fn project_of(route: &Route) -> Option<String> {
    match route {
        Route::Project { id } | Route::Tables { id } | Route::Sql { id } | Route::Keys { id } | Route::ProjectSettings { id } => {
            Some(id.clone())
        }
        _ => None,
    }
}

/// Returns the project's page in the navigation that a route belongs to.
pub(super) fn room_of(route: &Route) -> Option<&'static Place> {
    let path = match route {
        Route::Project { .. } => "",
        Route::Tables { .. } => "/tables",
        Route::Sql { .. } => "/sql",
        Route::Keys { .. } => "/keys",
        Route::ProjectSettings { .. } => "/settings",
        _ => return None,
    };
    ROOMS.iter().find(|room| room.path == path)
}

/// Returns the platform's page in the navigation that a route belongs to.
pub(super) fn platform_page_of(route: &Route) -> Option<&'static Place> {
    let path = match route {
        Route::Overview {} => "/",
        Route::Projects {} | Route::NewProject {} => "/projects",
        _ => return None,
    };
    PLATFORM.iter().find(|place| place.path == path)
}

/// Returns the address of a page of a project.
pub(super) fn room_address(project: &str, room: &Place) -> String {
    format!("/projects/{project}{}", room.path)
}
