//! The names that backups and plugins use for databases.

use std::{fmt, str::FromStr};

/// The logical name of a database, `platform` or `project:<id>`, as used by backups and plugins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DatabaseName {
    Platform,
    /// A project's database, by the project's id.
    Project(String),
}

/// The error for a string that is not the logical name of a database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a database name: write `platform` or `project:<id>`")]
pub struct InvalidDatabaseName(String);

impl FromStr for DatabaseName {
    type Err = InvalidDatabaseName;

    fn from_str(text: &str) -> Result<Self, InvalidDatabaseName> {
        if text == "platform" {
            return Ok(Self::Platform);
        }
        match text.strip_prefix("project:") {
            Some(id) if is_project_id(id) => Ok(Self::Project(id.to_owned())),
            _ => Err(InvalidDatabaseName(text.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform => f.write_str("platform"),
            Self::Project(id) => write!(f, "project:{id}"),
        }
    }
}

/// Returns the name of a project's database in Postgres.
pub fn project_database(project: &str) -> String {
    format!("proj_{project}")
}

/// Checks an id by the rule of the table `projects`. Such an id is safe in the names of databases, roles and objects.
pub fn is_project_id(id: &str) -> bool {
    (8..=24).contains(&id.len())
        && id.starts_with(|first: char| first.is_ascii_lowercase())
        && id.chars().all(|character| character.is_ascii_lowercase() || character.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_formatting_and_parsing() {
        for text in ["platform", "project:abcdefgh12345678"] {
            assert_eq!(text.parse::<DatabaseName>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn invalid_names_are_rejected() {
        for text in [
            "",
            "all",
            "project:",
            "project:short",
            "project:1bcdefgh",
            "project:abcdefgh/..",
            "project:ABCDEFGH",
            "postgres",
        ] {
            assert!(text.parse::<DatabaseName>().is_err(), "{text}");
        }
    }
}
