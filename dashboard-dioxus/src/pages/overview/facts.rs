//! The region "State" of the overview, and the sentence after "All is well.".

use api_types::OverviewFacts;
use chrono::{DateTime, Utc};
use dioxus::prelude::*;

use crate::{
    text,
    ui::{Link, Mark, Shape},
};

/// The page with the backups, to which the fact "Oldest last good backup" links.
const BACKUPS: &str = "/backups";

/// The region "State": seven numbers.
#[component]
pub(super) fn State(facts: OverviewFacts) -> Element {
    let made_at = facts.oldest_backup.as_ref().map(|oldest| text::exact(oldest.backup.at));
    rsx! {
        section { class: "section", "aria-label": "State",
            div { class: "facts",
                for fact in facts_of(&facts, text::now()) {
                    Link {
                        key: "{fact.label}", to: fact.to, class: "inset", name: fact.name(),
                        title: made_at.clone().filter(|_| fact.to == BACKUPS),
                        // Spaces keep the parts apart in the text of the link.
                        span { class: "k", "{fact.label}" }
                        " "
                        span { class: "v", "{fact.value}" }
                        " "
                        span { class: "d",
                            if let Some(shape) = fact.shape {
                                Mark { shape }
                            }
                            "{fact.detail}"
                        }
                    }
                }
            }
        }
    }
}

/// A value with its label, and the page with details.
#[derive(Debug, Clone, PartialEq)]
struct Fact {
    label: &'static str,
    value: String,
    detail: String,
    shape: Option<Shape>,
    to: &'static str,
}

impl Fact {
    /// Returns the accessible name: label, value and detail.
    fn name(&self) -> String {
        match (self.label, self.detail.is_empty()) {
            (label, true) => format!("{label} {}", self.value),
            ("Connections", false) => format!("Connections {} {}", self.value, self.detail),
            ("Oldest last good backup", false) => format!("{} {} ({})", self.label, self.value, self.detail),
            ("Disk", false) => format!("Disk {} ({})", self.value, self.detail),
            (label, false) => format!("{label} {}, {}", self.value, self.detail),
        }
    }
}

fn facts_of(facts: &OverviewFacts, now: DateTime<Utc>) -> Vec<Fact> {
    let fact = |label, value: String, detail: String, to| Fact { label, value, detail, shape: None, to };
    let failed = facts.runs_24h.failed;
    let runs = fact(
        "Runs in 24 h",
        text::number(facts.runs_24h.total),
        failed_in_words(failed),
        if failed > 0 { "/runs?status=fail%2Ctimeout" } else { "/runs" },
    );
    let backup = match &facts.oldest_backup {
        Some(oldest) => fact(
            "Oldest last good backup",
            text::until(now, oldest.backup.at),
            oldest.title.clone().unwrap_or_else(|| "platform".to_owned()),
            BACKUPS,
        ),
        None => fact("Oldest last good backup", "None".to_owned(), "no good backup".to_owned(), BACKUPS),
    };
    let disk = match &facts.disk {
        Some(disk) => fact(
            "Disk",
            format!("{} free", text::bytes(disk.free_bytes)),
            format!("{} %", disk.free_percent.round() as i64),
            "/settings",
        ),
        None => fact("Disk", "unknown".to_owned(), "can't be measured".to_owned(), "/settings"),
    };
    vec![
        fact("Projects", text::number(facts.project_count), String::new(), "/projects"),
        fact(
            "Databases",
            facts.database_bytes.map_or_else(|| "unknown".to_owned(), text::bytes),
            String::new(),
            "/projects",
        ),
        fact(
            "Storage",
            text::bytes(facts.object_bytes),
            text::count(facts.object_count, "object", "objects"),
            "/projects",
        ),
        Fact { shape: Some(if failed > 0 { Shape::Failed } else { Shape::Succeeded }), ..runs },
        Fact { shape: (facts.without_backup_count > 0).then_some(Shape::TimedOut), ..backup },
        fact(
            "Connections",
            text::number(facts.connections.open),
            format!("of {}", facts.connections.budget),
            "/settings",
        ),
        Fact { shape: facts.disk.as_ref().is_some_and(|disk| disk.low).then_some(Shape::Failed), ..disk },
    ]
}

fn failed_in_words(failed: i64) -> String {
    if failed == 0 { "none failed".to_owned() } else { format!("{} failed", text::number(failed)) }
}

/// Returns the sentence that follows "All is well.". Its "oldest backup" is the oldest of the databases' last good
/// backups, as in the fact "Oldest last good backup". Databases without any good backup are counted separately: they
/// need no attention while the first backup of their job is not overdue.
pub(super) fn all_is_well(facts: &OverviewFacts, now: DateTime<Utc>) -> String {
    let oldest = facts.oldest_backup.as_ref().map(|oldest| text::duration_in_words(now - oldest.backup.at));
    let backup = match (oldest, facts.without_backup_count) {
        (None, _) => "no good backup".to_owned(),
        (Some(age), 0) => format!("oldest backup {age} old"),
        (Some(age), count) => {
            format!("oldest backup {age} old, {} without a good backup", text::count(count, "database", "databases"))
        }
    };
    format!(
        "{}, {backup}, {} in 24 hours, {}.",
        text::count(facts.project_count, "project", "projects"),
        text::count(facts.runs_24h.total, "run", "runs"),
        failed_in_words(facts.runs_24h.failed)
    )
}

#[cfg(test)]
mod tests {
    use api_types::{Connections, DiskSpace, GoodBackup, OldestBackup, Reachability, RunCount};
    use chrono::Duration;

    use super::*;

    fn facts(now: DateTime<Utc>) -> OverviewFacts {
        let reachable = Reachability { reachable: true, latency_ms: Some(1.0), problem: None };
        OverviewFacts {
            project_count: 4,
            database_bytes: Some(3_400_000_000),
            object_count: 218,
            object_bytes: 1_200_000_000,
            runs_24h: RunCount { total: 128, failed: 2 },
            oldest_backup: Some(OldestBackup {
                target: "project:abcdefgh".to_owned(),
                title: Some("notebook".to_owned()),
                backup: GoodBackup { id: "1".to_owned(), at: now - Duration::hours(3), verified_at: None },
            }),
            without_backup_count: 0,
            connections: Connections { open: 12, budget: 80 },
            disk: Some(DiskSpace {
                purpose: "data".to_owned(),
                path: "/data".to_owned(),
                free_bytes: 61_000_000_000,
                total_bytes: 82_000_000_000,
                free_percent: 74.4,
                low: false,
            }),
            postgres: reachable.clone(),
            store: reachable,
        }
    }

    #[test]
    fn facts_have_names_with_value_and_detail() {
        let now = DateTime::from_timestamp(10_000_000, 0).unwrap_or_default();
        let names: Vec<String> = facts_of(&facts(now), now).iter().map(Fact::name).collect();
        assert_eq!(
            names,
            [
                "Projects 4",
                "Databases 3.4 GB",
                "Storage 1.2 GB, 218 objects",
                "Runs in 24 h 128, 2 failed",
                "Oldest last good backup 3 h (notebook)",
                "Connections 12 of 80",
                "Disk 61 GB free (74 %)",
            ]
        );
        let external = OverviewFacts { disk: None, ..facts(now) };
        assert!(facts_of(&external, now).iter().any(|fact| fact.name().starts_with("Disk unknown")));
    }

    #[test]
    fn all_is_well_is_one_sentence() {
        let now = DateTime::from_timestamp(10_000_000, 0).unwrap_or_default();
        let facts = OverviewFacts { runs_24h: RunCount { total: 128, failed: 0 }, ..facts(now) };
        assert_eq!(
            all_is_well(&facts, now),
            "4 projects, oldest backup 3 hours old, 128 runs in 24 hours, none failed."
        );
        let new_project = OverviewFacts { without_backup_count: 1, ..facts };
        assert_eq!(
            all_is_well(&new_project, now),
            "4 projects, oldest backup 3 hours old, 1 database without a good backup, 128 runs in 24 hours, none \
             failed."
        );
    }
}
