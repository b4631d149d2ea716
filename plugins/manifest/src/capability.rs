//! Capabilities and their scopes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An interface of `wit/` that requires a grant from the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    /// Opens secrets, which a plugin can place in requests but can't read.
    Secrets,
    /// Sends HTTP requests.
    Http,
    /// Lists, inspects and dumps databases.
    Databases,
    /// Reads and writes objects.
    Objects,
    /// Sends messages to the owner.
    Notify,
    /// Records, lists, verifies and removes backups, and copies the objects of projects for them.
    Backups,
    /// Removes data that the platform no longer needs.
    Maintenance,
    /// Lists and applies migrations of the platform database.
    Migrations,
    /// Runs exports and imports that the owner started.
    Transfers,
    /// Reads rows of projects' databases with SQL.
    Query,
    /// Keeps small values between runs.
    State,
    /// Lists buckets, and signs URLs for uploads and downloads by others.
    Buckets,
}

impl Capability {
    /// Every capability.
    pub const ALL: [Self; 12] = [
        Self::Secrets,
        Self::Http,
        Self::Databases,
        Self::Objects,
        Self::Notify,
        Self::Backups,
        Self::Maintenance,
        Self::Migrations,
        Self::Transfers,
        Self::Query,
        Self::State,
        Self::Buckets,
    ];

    /// Returns the name, which is also the name of the interface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::Http => "http",
            Self::Databases => "databases",
            Self::Objects => "objects",
            Self::Notify => "notify",
            Self::Backups => "backups",
            Self::Maintenance => "maintenance",
            Self::Migrations => "migrations",
            Self::Transfers => "transfers",
            Self::Query => "query",
            Self::State => "state",
            Self::Buckets => "buckets",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The resources that a capability may access. Each capability uses some of the lists and ignores the others. An empty
/// list allows nothing.
///
/// An entry is a full name, a prefix that ends in `*` (`project:*`), or `*` for everything. For hosts it is `host`,
/// `*.suffix` or `*`. Hosts must also be in `ATLASHUB_HTTP_ALLOWED_HOSTS`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Scope {
    /// Databases for `databases`, `backups`, `transfers` and `query`, and stores for `state`: `platform` or
    /// `project:<id>`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<String>,
    /// Stores for `objects` and `buckets`: `backups`, `exports`, `imports` or `project:<id>`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<String>,
    /// Hosts for `http`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Names of the plugin's secrets for `secrets`. The secrets of a run need no entry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

impl Scope {
    /// Returns whether `granted` allows everything that `self` allows.
    pub fn is_within(&self, granted: &Self) -> bool {
        covers(&granted.databases, &self.databases)
            && covers(&granted.stores, &self.stores)
            && covers(&granted.hosts, &self.hosts)
            && covers(&granted.secrets, &self.secrets)
    }

    /// Returns whether one of the patterns matches the name. Must not be used for hosts, whose patterns may start with
    /// `*`.
    pub fn reaches(patterns: &[String], name: &str) -> bool {
        patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => pattern == name,
        })
    }
}

fn covers(granted: &[String], requested: &[String]) -> bool {
    requested.iter().all(|requested| {
        granted.iter().any(|granted| {
            granted == "*"
                || granted == requested
                || granted.strip_suffix('*').is_some_and(|prefix| requested.starts_with(prefix))
                || granted
                    .strip_prefix('*')
                    .is_some_and(|suffix| suffix.starts_with('.') && requested.ends_with(suffix))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn grant_covers_only_equal_or_narrower_requests() {
        let check = |granted: &[&str], requested: &[&str], expected: bool| {
            assert_eq!(covers(&names(granted), &names(requested)), expected, "{granted:?} {requested:?}");
        };
        check(&["*"], &["platform", "project:*"], true);
        check(&["project:*"], &["project:a"], true);
        check(&["project:*"], &["*"], false);
        check(&["project:a"], &["project:*"], false);
        check(&["project:a"], &["project:ab"], false);
        check(&["*.example.com"], &["api.example.com"], true);
        check(&["*.example.com"], &["*.example.com"], true);
        check(&["*.example.com"], &["evilexample.com"], false);
        check(&[], &["x"], false);
        check(&[], &[], true);
    }

    #[test]
    fn patterns_match_full_names_and_prefixes() {
        assert!(Scope::reaches(&names(&["project:*"]), "project:a"));
        assert!(!Scope::reaches(&names(&["project:*"]), "platform"));
        assert!(!Scope::reaches(&[], "platform"));
    }
}
