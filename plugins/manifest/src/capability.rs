use std::fmt;

use serde::{Deserialize, Serialize};

/// A power that needs a grant; one interface of `wit/` each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    Secrets,
    Http,
    Databases,
    Objects,
    Notify,
    Backups,
    Maintenance,
    Migrations,
}

impl Capability {
    pub const ALL: [Self; 8] = [
        Self::Secrets,
        Self::Http,
        Self::Databases,
        Self::Objects,
        Self::Notify,
        Self::Backups,
        Self::Maintenance,
        Self::Migrations,
    ];

    /// Also the name of its interface.
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
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a power reaches. A list that a capability doesn't use stays empty; an empty list reaches nothing.
///
/// Patterns: a full name, `*` for all, or a prefix that ends in `*` (`project:*`). Hosts are `host`, `*.suffix` or `*`, each
/// within `ATLASHUB_HTTP_ALLOWED_HOSTS`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Scope {
    /// `platform`, `project:<id>`; of `databases` and of `backups`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<String>,
    /// `backups`, `project:<id>`; of `objects`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<String>,
    /// Of `http`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Names; of `secrets`. A run's own secrets need no entry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

impl Scope {
    /// Whether everything that `self` reaches is reached by `granted` too.
    pub fn is_within(&self, granted: &Self) -> bool {
        covers(&granted.databases, &self.databases)
            && covers(&granted.stores, &self.stores)
            && covers(&granted.hosts, &self.hosts)
            && covers(&granted.secrets, &self.secrets)
    }

    /// Whether a pattern of the list matches the name.
    pub fn reaches(patterns: &[String], name: &str) -> bool {
        patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => pattern == name,
        })
    }
}

fn covers(granted: &[String], wanted: &[String]) -> bool {
    wanted.iter().all(|wanted| {
        granted.iter().any(|granted| {
            granted == "*"
                || granted == wanted
                || granted.strip_suffix('*').is_some_and(|prefix| wanted.starts_with(prefix))
                || granted.strip_prefix('*').is_some_and(|suffix| suffix.starts_with('.') && wanted.ends_with(suffix))
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
    fn a_wider_request_is_not_within_a_narrower_grant() {
        let check = |granted: &[&str], wanted: &[&str], expected: bool| {
            assert_eq!(covers(&names(granted), &names(wanted)), expected, "{granted:?} {wanted:?}");
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
    fn patterns_match_names_and_prefixes() {
        assert!(Scope::reaches(&names(&["project:*"]), "project:a"));
        assert!(!Scope::reaches(&names(&["project:*"]), "platform"));
        assert!(!Scope::reaches(&[], "platform"));
    }
}
