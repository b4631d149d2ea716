//! The entries of the command palette, and the search among them.

use api_types::ProjectState;

use super::{
    destinations::{self, PLATFORM, PROJECT_PAGES, UNLISTED},
    overlay::Overlay,
};
use crate::{
    address,
    remote::{ProjectBrief, TableBrief},
    theme::Theme,
    ui::{IconName, finder},
};

/// An entry of the palette.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Command {
    pub(super) group: &'static str,
    pub(super) icon: IconName,
    pub(super) text: String,
    pub(super) detail: String,
    /// Other words by which the entry is found.
    words: &'static str,
    pub(super) keys: Vec<&'static str>,
    pub(super) action: Action,
}

/// The action of an entry.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    Open(String),
    Theme(Theme),
    Show(Overlay),
    SignOut,
}

/// Returns the entries that match a query, the best first within each group.
pub(super) fn find(
    project: Option<&str>,
    projects: &[ProjectBrief],
    tables: &[TableBrief],
    query: &str,
) -> Vec<Command> {
    let name = projects.iter().find(|known| Some(known.id.as_str()) == project).map(|known| known.name.as_str());
    let mut commands = actions(project);
    commands.extend(pages(project, name.unwrap_or_default()));
    if let Some(project) = project {
        commands.extend(tables.iter().map(|table| open_table(project, &table.name)));
    }
    commands.extend(projects.iter().filter(|known| known.state == ProjectState::Ready).map(open_project));
    let mut found: Vec<(usize, Command)> = commands
        .into_iter()
        .filter(|command| finder::matches(&format!("{} {} {}", command.text, command.detail, command.words), query))
        .map(|command| (rank(&command.text, query), command))
        .collect();
    // Sorts by group, then by rank. The sort is stable, so equal entries keep their order.
    found.sort_by_key(|(rank, command)| (GROUPS.iter().position(|group| *group == command.group), *rank));
    found.into_iter().map(|(_, command)| command).collect()
}

const GROUPS: [&str; 4] = ["Do", "Go to", "Tables", "Projects"];

/// Returns how well an entry matches; lower is better: 0 if the text starts with the query, 1 if one of its words does,
/// otherwise 2.
fn rank(text: &str, query: &str) -> usize {
    let (text, query) = (text.to_lowercase(), query.trim().to_lowercase());
    if text.starts_with(&query) {
        0
    } else if text.split_whitespace().any(|word| word.starts_with(&query)) {
        1
    } else {
        2
    }
}

fn actions(project: Option<&str>) -> Vec<Command> {
    let command = |icon, text: &str, action, keys: Vec<&'static str>| Command {
        group: "Do",
        icon,
        text: text.to_owned(),
        detail: String::new(),
        words: "",
        keys,
        action,
    };
    let mut actions = Vec::new();
    if let Some(project) = project {
        let new_table = Action::Open(format!("/projects/{project}/tables?new=table"));
        actions.push(command(IconName::Table, "New table", new_table, Vec::new()));
        actions.push(command(
            IconName::Key,
            "New key",
            Action::Open(format!("/projects/{project}/keys?new=")),
            Vec::new(),
        ));
        let tool = |query| Action::Open(format!("/projects/{project}/database?{query}"));
        actions.push(command(IconName::Archive, "Backups of this project", tool("tab=backups"), Vec::new()));
        actions.push(command(IconName::Archive, "Restore this project", tool("tab=restore"), Vec::new()));
        actions.push(command(IconName::Upload, "Import a file", tool("tab=import"), Vec::new()));
        actions.push(command(IconName::Download, "New export", tool("tab=export&export=new"), Vec::new()));
    }
    actions.push(command(IconName::Plus, "New project", Action::Open("/projects/new".to_owned()), Vec::new()));
    let new_job = address::with_parameters("/jobs/new", &[("project", project)]);
    actions.push(command(IconName::Clock, "New job", Action::Open(new_job), Vec::new()));
    actions.push(command(IconName::Project, "Switch project", Action::Show(Overlay::Switcher), Vec::new()));
    for theme in Theme::ALL {
        actions.push(command(IconName::Theme, &format!("Theme: {}", theme.label()), Action::Theme(theme), Vec::new()));
    }
    actions.push(command(IconName::Keyboard, "Keyboard shortcuts", Action::Show(Overlay::Shortcuts), vec!["?"]));
    actions.push(command(IconName::Account, "Sign out", Action::SignOut, Vec::new()));
    actions
}

fn pages(project: Option<&str>, name: &str) -> Vec<Command> {
    let keys = |key: Option<&'static str>| key.map(|key| vec!["g", key]).unwrap_or_default();
    let go_to = |destination: &destinations::Destination, detail: &str, to: String| Command {
        group: "Go to",
        icon: destination.icon,
        text: destination.label.to_owned(),
        detail: detail.to_owned(),
        words: destination.words,
        keys: keys(destination.key),
        action: Action::Open(to),
    };
    let project_pages = PROJECT_PAGES.iter().filter_map(|project_page| {
        project.map(|id| go_to(project_page, name, destinations::project_page_address(id, project_page)))
    });
    let unlisted = UNLISTED.iter().map(|(destination, _)| destination).filter(|destination| destination.key.is_some());
    let platform =
        PLATFORM.iter().chain(unlisted).map(|destination| go_to(destination, "", destination.path.to_owned()));
    project_pages.chain(platform).collect()
}

fn open_table(project: &str, table: &str) -> Command {
    Command {
        group: "Tables",
        icon: IconName::Table,
        text: table.to_owned(),
        detail: String::new(),
        words: "",
        keys: Vec::new(),
        action: Action::Open(address::with_parameters(
            &format!("/projects/{project}/tables"),
            &[("table", Some(table))],
        )),
    }
}

fn open_project(project: &ProjectBrief) -> Command {
    Command {
        group: "Projects",
        icon: IconName::Project,
        text: project.name.clone(),
        detail: "project".to_owned(),
        words: "",
        keys: Vec::new(),
        action: Action::Open(format!("/projects/{}", project.id)),
    }
}
