//! The columns of the list of projects, and its order by each of them.

use std::cmp::Ordering;

use api_types::{ListedProject, ProjectTotals};

/// A column that the list can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Name,
    Database,
    Tables,
    Storage,
    Keys,
    Backup,
    Runs,
    Created,
}

impl Column {
    pub(super) const ALL: [Self; 8] =
        [Self::Name, Self::Database, Self::Tables, Self::Storage, Self::Keys, Self::Backup, Self::Runs, Self::Created];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Name => "Name",
            Self::Database => "Database",
            Self::Tables => "Tables",
            Self::Storage => "Storage",
            Self::Keys => "Keys",
            Self::Backup => "Last good backup",
            Self::Runs => "Runs 24 h",
            Self::Created => "Created",
        }
    }

    pub(super) const fn is_number(self) -> bool {
        !matches!(self, Self::Name | Self::Backup)
    }

    pub(super) fn compare(self, a: &ListedProject, b: &ListedProject) -> Ordering {
        let number = |value: fn(&ProjectTotals) -> Option<i64>| {
            a.totals.as_ref().and_then(value).cmp(&b.totals.as_ref().and_then(value))
        };
        match self {
            Self::Name => a.project.name.to_lowercase().cmp(&b.project.name.to_lowercase()),
            Self::Database => number(|totals| totals.database_bytes),
            Self::Tables => number(|totals| totals.table_count),
            Self::Storage => number(|totals| Some(totals.object_bytes)),
            Self::Keys => number(|totals| Some(totals.active_key_count)),
            Self::Backup => number(|totals| totals.last_good_backup.as_ref().map(|backup| backup.at.timestamp())),
            Self::Runs => number(|totals| Some(totals.runs_24h.total)),
            Self::Created => a.project.created_at.cmp(&b.project.created_at),
        }
    }
}
