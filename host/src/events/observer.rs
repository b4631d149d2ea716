//! Compares the platform database with the previous observation, and returns the changes as events.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use api_types::{Event, EventKind, SystemState};
use sqlx::PgPool;
use tokio::time::Instant;

use super::queries::{self, MAX_RUNS, Observed};
use crate::plugins::Plugins;

/// Time for which an ended run is still read, because a transaction can become visible later than the time that it
/// stores.
const OVERLAP: Duration = Duration::from_secs(10);
/// State in the event of a deleted resource.
const DELETED: &str = "deleted";

type Known = HashMap<(EventKind, String), Observed>;

/// The state at the last observation.
#[derive(Debug)]
pub(super) struct Observer {
    runs: Known,
    rest: Known,
    fingerprint: i64,
    plugins: Known,
    /// Time when the last complete observation began.
    observed_at: Instant,
}

/// The changes since the last observation.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) events: Vec<(EventKind, Event)>,
    /// Whether more runs may have ended than were read.
    pub(super) incomplete: bool,
}

impl Observer {
    /// Observes the state that later changes are compared with.
    pub(super) async fn new(platform: &PgPool, plugins: &Plugins) -> Result<Self, sqlx::Error> {
        let observed_at = Instant::now();
        // The fingerprint is read before the rows, so a change in between causes one comparison too many, not one too
        // few.
        let fingerprint = queries::fingerprint(platform).await?;
        Ok(Self {
            runs: by_id(queries::observe_runs(platform, OVERLAP.as_secs_f64()).await?),
            rest: by_id(queries::observe_rest(platform).await?),
            fingerprint,
            plugins: by_id(observe_plugins(plugins).await),
            observed_at,
        })
    }

    /// Returns the changes since the last observation. If this call fails, the next one also returns the changes that
    /// this one would have returned.
    pub(super) async fn observe(&mut self, platform: &PgPool, plugins: &Plugins) -> Result<Changes, sqlx::Error> {
        let observed_at = Instant::now();
        let ended_within = self.observed_at.elapsed() + OVERLAP;
        let runs = queries::observe_runs(platform, ended_within.as_secs_f64()).await?;
        let fingerprint = queries::fingerprint(platform).await?;
        let rest = match fingerprint == self.fingerprint {
            true => None,
            false => Some(by_id(queries::observe_rest(platform).await?)),
        };
        let ended = runs.iter().filter(|run| !["queued", "running"].contains(&run.state.as_str())).count();
        let mut changes = Changes { incomplete: ended as i64 >= MAX_RUNS, ..Changes::default() };
        let runs = by_id(runs);
        // There is no event for a run that is missing: it ended longer ago, or was deleted by retention or with its
        // job.
        changes.events.extend(changed(&self.runs, &runs));
        self.runs = runs;
        if let Some(rest) = rest {
            changes.events.extend(changed(&self.rest, &rest).chain(gone(&self.rest, &rest)));
            (self.rest, self.fingerprint) = (rest, fingerprint);
        }
        let plugins = by_id(observe_plugins(plugins).await);
        changes.events.extend(changed(&self.plugins, &plugins).chain(gone(&self.plugins, &plugins)));
        self.plugins = plugins;
        self.observed_at = observed_at;
        Ok(changes)
    }
}

/// Returns the plugins of this node.
async fn observe_plugins(plugins: &Plugins) -> Vec<Observed> {
    let observed = plugins.list().await.into_iter().map(|plugin| {
        let mut hasher = DefaultHasher::new();
        serde_json::to_string(&plugin).unwrap_or_default().hash(&mut hasher);
        Observed {
            kind: EventKind::Plugin,
            id: plugin.name,
            project_id: None,
            state: plugin.state.as_str().to_owned(),
            version: hasher.finish().cast_signed(),
        }
    });
    observed.collect()
}

fn by_id(observed: Vec<Observed>) -> Known {
    observed.into_iter().map(|item| ((item.kind, item.id.clone()), item)).collect()
}

/// Returns the events for items that are new or differ.
fn changed<'a>(before: &'a Known, now: &'a Known) -> impl Iterator<Item = (EventKind, Event)> + 'a {
    now.iter().filter(|(key, item)| before.get(*key) != Some(*item)).map(|(_, item)| event(item, &item.state))
}

/// Returns the events for items that no longer exist.
fn gone<'a>(before: &'a Known, now: &'a Known) -> impl Iterator<Item = (EventKind, Event)> + 'a {
    before.iter().filter(|(key, _)| !now.contains_key(*key)).map(|(_, item)| {
        let state = if item.kind == EventKind::System { SystemState::Left.as_str() } else { DELETED };
        event(item, state)
    })
}

fn event(item: &Observed, state: &str) -> (EventKind, Event) {
    let event = Event { id: Some(item.id.clone()), project_id: item.project_id.clone(), state: state.to_owned() };
    (item.kind, event)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(items: &[(EventKind, &str, &str, i64)]) -> Known {
        let observed = items.iter().map(|(kind, id, state, version)| Observed {
            kind: *kind,
            id: (*id).to_owned(),
            project_id: None,
            state: (*state).to_owned(),
            version: *version,
        });
        by_id(observed.collect())
    }

    #[test]
    fn new_changed_and_missing_items_are_events() {
        use EventKind::{Backup, Job, System};
        let before = known(&[(Job, "a", "enabled", 1), (Job, "b", "enabled", 1), (System, "n", "joined", 0)]);
        let now = known(&[(Job, "a", "enabled", 1), (Job, "b", "enabled", 2), (Backup, "a", "ready", 1)]);
        let text = |(kind, event): (EventKind, Event)| format!("{kind} {} {}", event.id.unwrap(), event.state);
        let mut found: Vec<String> = changed(&before, &now).chain(gone(&before, &now)).map(text).collect();
        found.sort();
        assert_eq!(found, ["backup a ready", "job b enabled", "system n left"]);
        assert_eq!(changed(&now, &now).chain(gone(&now, &now)).count(), 0);
    }
}
