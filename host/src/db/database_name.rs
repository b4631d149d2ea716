use std::{fmt, str::FromStr};

/// A database by its logical name: `platform`, or `project:<id>`. What a backup is of, and what plugins call databases.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DatabaseName {
    Platform,
    /// Its id.
    Project(String),
}

/// The text names no database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no database: write `platform` or `project:<id>`")]
pub struct NoDatabaseName(String);

impl FromStr for DatabaseName {
    type Err = NoDatabaseName;

    fn from_str(text: &str) -> Result<Self, NoDatabaseName> {
        if text == "platform" {
            return Ok(Self::Platform);
        }
        match text.strip_prefix("project:") {
            Some(id) if is_project_id(id) => Ok(Self::Project(id.to_owned())),
            _ => Err(NoDatabaseName(text.chars().take(80).collect())),
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

/// As the table `projects` has it: safe as part of a database's, a role's and an object's name.
fn is_project_id(id: &str) -> bool {
    (8..=24).contains(&id.len())
        && id.starts_with(|first: char| first.is_ascii_lowercase())
        && id.chars().all(|character| character.is_ascii_lowercase() || character.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for text in ["platform", "project:abcdefgh12345678"] {
            assert_eq!(text.parse::<DatabaseName>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
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
