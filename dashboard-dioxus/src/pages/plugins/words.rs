//! Describes capabilities, scopes and states of plugins in words.

use api_types::{CapabilityScope, GrantedCapability, Plugin, PluginState, RequestedCapability};

use crate::{
    text,
    ui::{IconName, Shape},
};

/// The capabilities, each with its name and the actions that it allows.
const CAPABILITIES: [(&str, &str); 12] = [
    ("http", "calling hosts"),
    ("databases", "reading databases"),
    ("objects", "reading and writing stores"),
    ("secrets", "reading its secrets"),
    ("notify", "sending notifications"),
    ("backups", "managing backups"),
    ("maintenance", "cleaning up AtlasHub's own data"),
    ("migrations", "applying AtlasHub's migrations"),
    ("transfers", "exporting and importing"),
    ("query", "querying rows of databases"),
    ("state", "keeping state between runs"),
    ("buckets", "signing URLs for files of stores"),
];

/// Returns the actions that a capability allows, in words: `calling hosts`.
pub(super) fn capability(name: &str) -> String {
    CAPABILITIES
        .iter()
        .find(|(known, _)| *known == name)
        .map_or_else(|| name.to_owned(), |(_, words)| (*words).to_owned())
}

/// Returns the lists of a scope, each with its heading and its values.
pub(super) fn lists(scope: &CapabilityScope) -> [(&'static str, &Vec<String>); 4] {
    [("Databases", &scope.databases), ("Stores", &scope.stores), ("Hosts", &scope.hosts), ("Secrets", &scope.secrets)]
}

/// Returns a value of a scope in words. For the id of a project, returns the name of the project.
pub(super) fn value(value: &str, projects: &[(String, String)]) -> String {
    match value {
        "*" => "all".to_owned(),
        "project:*" => "all projects".to_owned(),
        "platform" => "Platform".to_owned(),
        "backups" => "the backups".to_owned(),
        other => projects.iter().find(|(id, _)| id == other).map_or_else(|| other.to_owned(), |(_, name)| name.clone()),
    }
}

/// Returns a capability with its values: `reading databases: notebook, Platform`.
pub(super) fn in_words(name: &str, scope: &CapabilityScope, projects: &[(String, String)]) -> String {
    let values: Vec<String> =
        lists(scope).iter().flat_map(|(_, values)| values.iter().map(|other| value(other, projects))).collect();
    if values.is_empty() { capability(name) } else { format!("{}: {}", capability(name), values.join(", ")) }
}

/// Returns the heading of a list of a capability's scope.
pub(super) fn heading<'a>(capability: &str, list: &'a str) -> &'a str {
    if capability == "state" && list == "Databases" { "About" } else { list }
}

/// Explains a wildcard, `*` or `project:*`, in a list of a capability's scope.
pub(super) fn wildcard(capability: &str, list: &str, value: &str) -> Option<&'static str> {
    match (list, capability, value) {
        ("Databases", "state", _) => {
            Some("That is every project, including those that you create later. Only this plugin reads its state.")
        }
        // The platform's database can't be queried.
        ("Databases", "query", _) | ("Databases", _, "project:*") => Some(
            "That is the database of every project, including those that you create later, but not AtlasHub's own \
             database.",
        ),
        ("Databases", ..) => Some("That is every database, including those of projects that you create later."),
        ("Stores", "objects", "*") => Some(
            "That is every file of every project, including projects that you create later, and every backup, export \
             and import.",
        ),
        ("Stores", ..) => Some("That is every file of every project, including projects that you create later."),
        ("Hosts", ..) => {
            Some("That is every host that ATLASHUB_HTTP_ALLOWED_HOSTS allows, including those that you add later.")
        }
        _ => None,
    }
}

/// Returns the databases, stores and hosts that grants reach, each kind with its icon: `1 database`, `2 hosts`. If
/// there are none, returns the capabilities in words.
pub(super) fn reach(granted: &[GrantedCapability]) -> Vec<(Option<IconName>, String)> {
    const KINDS: [(usize, IconName, &str, &str); 3] = [
        (0, IconName::Database, "database", "databases"),
        (1, IconName::Bucket, "store", "stores"),
        (2, IconName::Globe, "host", "hosts"),
    ];
    let mut reached = Vec::new();
    for (list, icon, singular, plural) in KINDS {
        let mut values: Vec<&String> = granted
            .iter()
            // Keeping state about a database gives no access to the database.
            .filter(|grant| list != 0 || grant.capability != "state")
            .filter_map(|grant| lists(&grant.scope).get(list).map(|(_, values)| *values))
            .flatten()
            .collect();
        values.sort_unstable();
        values.dedup();
        if values.iter().any(|value| value.as_str() == "*") {
            reached.push((Some(icon), format!("all {plural}")));
        } else if values.iter().any(|value| value.ends_with('*')) {
            reached.push((Some(icon), format!("{plural} of all projects")));
        } else if !values.is_empty() {
            reached.push((Some(icon), text::count(values.len() as i64, singular, plural)));
        }
    }
    if reached.is_empty() {
        reached.extend(granted.iter().map(|grant| (None, capability(&grant.capability))));
    }
    reached
}

/// Returns the words of [`reach`] in one line: `1 database, 2 hosts`.
pub(super) fn may(granted: &[GrantedCapability]) -> String {
    let words: Vec<String> = reach(granted).into_iter().map(|(_, words)| words).collect();
    if words.is_empty() { "–".to_owned() } else { words.join(", ") }
}

/// Returns shape and words of a plugin's state.
pub(super) fn state(plugin: &Plugin) -> (Shape, String) {
    match plugin.state {
        PluginState::Active => (Shape::Succeeded, "Active".to_owned()),
        PluginState::Pending if plugin.compiling => (Shape::Running, "Being compiled".to_owned()),
        PluginState::Pending => (Shape::Attention, "Waiting for you".to_owned()),
        PluginState::Revoked => (Shape::Cancelled, "Revoked".to_owned()),
        PluginState::Rejected => {
            let reason = plugin.reason.clone().unwrap_or_else(|| "unknown reason".to_owned());
            (Shape::Failed, format!("Refused: {}", reason.replace('`', "")))
        }
    }
}

/// Returns whether a plugin waits for the owner's approval.
pub(super) fn waits(plugin: &Plugin) -> bool {
    plugin.state == PluginState::Pending && !plugin.compiling
}

/// Returns who signed a plugin.
pub(super) fn signed_by(plugin: &Plugin) -> String {
    match (&plugin.key_name, &plugin.key_id) {
        _ if plugin.first_party => "comes with AtlasHub".to_owned(),
        (Some(name), _) => name.clone(),
        (None, Some(_)) => "unknown key".to_owned(),
        (None, None) => "no valid signature".to_owned(),
    }
}

/// Returns whether a plugin was refused only because its key is unknown.
pub(super) fn has_unknown_key(plugin: &Plugin) -> bool {
    plugin.state == PluginState::Rejected && plugin.key_id.is_some() && plugin.key_name.is_none() && !plugin.first_party
}

/// Returns the publisher and the number of requested capabilities: `By Pixel Press. Asks for 3 capabilities, 1 of them
/// new or wider since your approval.`
pub(super) fn request_in_words(plugin: &Plugin) -> String {
    let by = plugin.publisher.as_ref().map(|publisher| format!("By {publisher}. ")).unwrap_or_default();
    let new = plugin.requested.iter().filter(|request| plugin.approval.is_some() && is_new(plugin, request)).count();
    let new = if new > 0 { format!(", {new} of them new or wider since your approval") } else { String::new() };
    format!("{by}Asks for {}{new}.", text::count(plugin.requested.len() as i64, "capability", "capabilities"))
}

/// Returns whether a request contains anything that the plugin did not request when it was approved.
pub(super) fn is_new(plugin: &Plugin, request: &RequestedCapability) -> bool {
    let old = old_request(plugin, &request.capability);
    match old {
        None => true,
        Some(old) => {
            let (new, old) = (lists(&request.scope), lists(&old.scope));
            new.iter().zip(old.iter()).any(|((_, new), (_, old))| new.iter().any(|value| !old.contains(value)))
        }
    }
}

pub(super) fn old_request<'a>(plugin: &'a Plugin, capability: &str) -> Option<&'a GrantedCapability> {
    plugin.approval.as_ref()?.requested.iter().find(|old| old.capability == capability)
}

/// Returns the capabilities that a plugin's code imports but its manifest does not request, in words.
pub(super) fn imported_only(plugin: &Plugin) -> Vec<String> {
    let imported = |name: &str| {
        plugin.imports.iter().any(|import| {
            let interface = import.rsplit('/').next().unwrap_or(import);
            interface.split('@').next() == Some(name)
        })
    };
    CAPABILITIES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| imported(name) && !plugin.requested.iter().any(|request| request.capability == *name))
        .map(capability)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(capability: &str, scope: CapabilityScope) -> GrantedCapability {
        GrantedCapability { capability: capability.to_owned(), scope }
    }

    #[test]
    fn grants_are_counted_by_kind_of_resource() {
        let hosts = |hosts: &[&str]| CapabilityScope {
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            ..Default::default()
        };
        let all = CapabilityScope { databases: vec!["*".to_owned()], ..Default::default() };
        assert_eq!(may(&[grant("http", hosts(&["a", "b"])), grant("databases", all)]), "all databases, 2 hosts");
        assert_eq!(may(&[grant("notify", CapabilityScope::default())]), "sending notifications");
        assert_eq!(may(&[]), "–");
        let all = CapabilityScope { databases: vec!["*".to_owned()], ..Default::default() };
        assert_eq!(may(&[grant("state", all)]), "keeping state between runs");
    }

    #[test]
    fn wildcard_for_projects_does_not_include_the_database_of_the_platform() {
        let excludes = |capability: &str, value: &str| {
            wildcard(capability, "Databases", value).is_some_and(|words| words.contains("not AtlasHub's own database"))
        };
        assert!(excludes("databases", "project:*") && excludes("backups", "project:*"));
        assert!(excludes("query", "project:*") && excludes("query", "*"));
        assert!(!excludes("databases", "*"));
        let includes_backups =
            |value: &str| wildcard("objects", "Stores", value).is_some_and(|words| words.contains("backup"));
        assert!(includes_backups("*") && !includes_backups("project:*"));
    }

    #[test]
    fn capabilities_are_named_with_their_values() {
        let scope = CapabilityScope { databases: vec!["project:abc".to_owned()], ..Default::default() };
        let projects = [("project:abc".to_owned(), "notebook".to_owned())];
        assert_eq!(in_words("databases", &scope, &projects), "reading databases: notebook");
        assert_eq!(in_words("query", &scope, &projects), "querying rows of databases: notebook");
        assert_eq!(in_words("state", &scope, &projects), "keeping state between runs: notebook");
    }
}
