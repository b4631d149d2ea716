//! The rules for what needs attention. Each function checks one part of the installation.

use std::collections::HashMap;

use api_types::{
    Attention, AttentionKind, Migration, MigrationState, MissingPart, NotificationEvent, OverviewFacts, Plugin,
    PluginState, ProjectState, Protection, Severity,
};
use chrono::{DateTime, TimeDelta, Utc};

use super::queries::ExpiringKey;
use crate::{
    jobs::{JobConcern, JobConcernKind},
    notifications::ChannelHealth,
    projects::{ProjectRef, Survey},
};

/// Time after which a project that is being created or deleted counts as stuck.
const MAX_TRANSITION: TimeDelta = TimeDelta::minutes(5);
/// Share of the connection budget, in percent, above which the number of open connections needs attention.
const MAX_CONNECTIONS_PERCENT: i64 = 80;

/// Returns an item of this kind. Its optional fields, except `target`, are empty, and it can be snoozed.
fn item(kind: AttentionKind, severity: Severity, target: Option<&str>, message: String) -> Attention {
    let id = match target {
        Some(target) => format!("{kind}:{target}"),
        None => kind.to_string(),
    };
    Attention {
        id,
        kind,
        severity,
        since: None,
        count: 1,
        project_id: None,
        project_name: None,
        target: target.map(str::to_owned),
        title: None,
        run_id: None,
        message,
        reason: None,
        missing: Vec::new(),
        can_snooze: true,
    }
}

/// Returns the name of a project in a list.
fn name_of(projects: &[ProjectRef], id: Option<&str>) -> Option<String> {
    projects.iter().find(|project| Some(project.id.as_str()) == id).map(|project| project.name.clone())
}

pub(super) fn of_services(facts: &OverviewFacts) -> Vec<Attention> {
    let mut items = Vec::new();
    let services =
        [(AttentionKind::PostgresUnreachable, &facts.postgres), (AttentionKind::StoreUnreachable, &facts.store)];
    for (kind, service) in services {
        if !service.reachable {
            let message = service.problem.clone().unwrap_or_default();
            items.push(Attention { can_snooze: false, ..item(kind, Severity::Critical, None, message) });
        }
    }
    if let Some(disk) = facts.disk.as_ref().filter(|disk| disk.low) {
        let message = format!(
            "Only {:.1} % of the disk with {} is free. When it is full, databases and uploads stop working.",
            disk.free_percent, disk.path
        );
        let low = item(AttentionKind::DiskLow, Severity::Critical, None, message);
        items.push(Attention { can_snooze: false, ..low });
    }
    let connections = facts.connections;
    if connections.open * 100 > connections.budget * MAX_CONNECTIONS_PERCENT {
        let message = format!(
            "{} of {} connections to projects' databases are open. When all are in use, requests that need another \
             one wait, then fail with 503. ATLASHUB_PROJECT_CONNECTIONS sets the limit.",
            connections.open, connections.budget
        );
        items.push(item(AttentionKind::ConnectionsHigh, Severity::Warning, None, message));
    }
    items
}

pub(super) fn of_backups(protection: &[Protection]) -> Vec<Attention> {
    let overdue = protection.iter().filter_map(|target| {
        let problem = target.problem.as_deref()?;
        let problem = match (&target.job, &target.last_good) {
            (None, None) => "No enabled job backs it up, and it has no good backup.",
            _ => problem,
        };
        let missing = [
            target.job.is_none().then_some(MissingPart::BackupJob),
            target.last_good.is_none().then_some(MissingPart::GoodBackup),
        ];
        let name = match &target.title {
            Some(name) => format!("The database of {name}"),
            None => "The platform database".to_owned(),
        };
        Some(Attention {
            since: target.problem_since,
            project_id: target.project_id.clone(),
            project_name: target.title.clone(),
            title: target.title.clone(),
            reason: Some(problem.to_owned()),
            missing: missing.into_iter().flatten().collect(),
            can_snooze: false,
            ..item(
                AttentionKind::BackupOverdue,
                Severity::Warning,
                Some(&target.target),
                format!("{name} is not protected: {}", lower_first(problem)),
            )
        })
    });
    overdue.collect()
}

pub(super) fn of_jobs(concerns: &[JobConcern], projects: &[ProjectRef]) -> Vec<Attention> {
    let items = concerns.iter().map(|concern| {
        let (kind, severity) = match concern.kind {
            JobConcernKind::Failing => (AttentionKind::JobFailing, Severity::Warning),
            JobConcernKind::Problem => (AttentionKind::JobProblem, Severity::Warning),
            JobConcernKind::Behind => (AttentionKind::JobBehind, Severity::Info),
            JobConcernKind::Skipping => (AttentionKind::JobSkipping, Severity::Info),
        };
        let job = &concern.job;
        let message = sentence(&format!("The job {} {}", job.name, concern.message));
        Attention {
            since: concern.since,
            count: concern.count,
            project_id: job.project_id.clone(),
            project_name: name_of(projects, job.project_id.as_deref()),
            title: Some(job.name.clone()),
            run_id: concern.run_id.clone(),
            reason: concern.reason.clone(),
            ..item(kind, severity, Some(&job.id), message)
        }
    });
    items.collect()
}

pub(super) fn of_keys(keys: Vec<ExpiringKey>, now: DateTime<Utc>) -> Vec<Attention> {
    let items = keys.into_iter().map(|key| {
        let days = (key.expires_at - now).num_days();
        let when = match days {
            0 => "within a day".to_owned(),
            1 => "in 1 day".to_owned(),
            days => format!("in {days} days"),
        };
        let message = format!("The API key {} of {} is in use and expires {when}.", key.name, key.project_name);
        Attention {
            project_id: Some(key.project_id),
            project_name: Some(key.project_name),
            title: Some(key.name),
            ..item(AttentionKind::KeyExpiring, Severity::Warning, Some(&key.id.to_string()), message)
        }
    });
    items.collect()
}

pub(super) fn of_plugins(plugins: &[Plugin]) -> Vec<Attention> {
    let items = plugins.iter().filter_map(|plugin| {
        let reason = plugin.reason.as_deref().unwrap_or_default();
        let (kind, message) = match plugin.state {
            // The plugin is approved, and is loaded once it is compiled.
            PluginState::Pending if plugin.compiling => return None,
            PluginState::Pending => {
                (AttentionKind::PluginPending, format!("The plugin {} waits for your approval.", plugin.name))
            }
            PluginState::Rejected => {
                (AttentionKind::PluginRejected, sentence(&format!("The plugin {} was refused: {reason}", plugin.name)))
            }
            PluginState::Active | PluginState::Revoked => return None,
        };
        Some(Attention {
            title: Some(plugin.name.clone()),
            reason: plugin.reason.clone(),
            ..item(kind, Severity::Warning, Some(&plugin.name), message)
        })
    });
    items.collect()
}

pub(super) fn of_tables(surveys: &HashMap<String, Survey>, projects: &[ProjectRef]) -> Vec<Attention> {
    let mut items = Vec::new();
    for project in projects {
        let Some(survey) = surveys.get(&project.id) else { continue };
        for table in &survey.open_tables {
            let message = format!(
                "Anybody who has the publishable key of {} can change the rows of {table}: the table has no row-level \
                 security.",
                project.name
            );
            let open = item(AttentionKind::TableOpen, Severity::Warning, Some(table), message);
            items.push(Attention {
                id: format!("{}:{}:{table}", AttentionKind::TableOpen, project.id),
                project_id: Some(project.id.clone()),
                project_name: Some(project.name.clone()),
                title: Some(table.clone()),
                ..open
            });
        }
    }
    items
}

pub(super) fn of_channels(channels: &[ChannelHealth]) -> Vec<Attention> {
    let enabled = || channels.iter().filter(|channel| channel.enabled);
    let mut items: Vec<Attention> = enabled()
        .filter_map(|channel| {
            let error = channel.last_error.as_deref()?;
            let message = sentence(&format!("The channel {} could not deliver a notification: {error}", channel.name));
            Some(Attention {
                since: channel.failing_since,
                reason: Some(error.to_owned()),
                title: Some(channel.name.clone()),
                ..item(AttentionKind::ChannelFailing, Severity::Warning, Some(&channel.id.to_string()), message)
            })
        })
        .collect();
    let is_subscribed = |event| enabled().any(|channel| channel.events.contains(&event));
    let mut missing = Vec::new();
    if !is_subscribed(NotificationEvent::RunFailed) {
        missing.push(MissingPart::RunFailedChannel);
    }
    if !is_subscribed(NotificationEvent::BackupFailed) {
        missing.push(MissingPart::BackupFailedChannel);
    }
    let unheard = match missing.as_slice() {
        [] => return items,
        [MissingPart::RunFailedChannel] => "a run fails",
        [MissingPart::BackupFailedChannel] => "a backup fails",
        _ => "a run or backup fails",
    };
    let message = format!("No notification channel reports when {unheard}.");
    items.push(Attention { missing, ..item(AttentionKind::FailuresUnheard, Severity::Info, None, message) });
    items
}

pub(super) fn of_migrations(migrations: &[Migration]) -> Vec<Attention> {
    let count = |state| migrations.iter().filter(|migration| migration.state == state).count();
    let (pending, changed) = (count(MigrationState::Pending), count(MigrationState::Changed));
    let message = match (pending, changed) {
        (0, 0) => return Vec::new(),
        (pending, 0) => format!("Migrations of the platform database are pending: {pending}."),
        (0, changed) => format!("Applied migrations differ from those of this version: {changed}."),
        (pending, changed) => {
            format!("Migrations of the platform database: {pending} pending, {changed} differ from this version.")
        }
    };
    let severity = if changed > 0 { Severity::Warning } else { Severity::Info };
    vec![Attention { count: (pending + changed) as i64, ..item(AttentionKind::Migrations, severity, None, message) }]
}

pub(super) fn of_projects(projects: &[ProjectRef], now: DateTime<Utc>) -> Vec<Attention> {
    let mut items = Vec::new();
    for project in projects {
        let about = |kind, since, message| Attention {
            since,
            project_id: Some(project.id.clone()),
            project_name: Some(project.name.clone()),
            title: Some(project.name.clone()),
            ..item(kind, Severity::Warning, Some(&project.id), message)
        };
        let doing = match project.state {
            ProjectState::Creating => Some("Creating"),
            ProjectState::Deleting => Some("Deleting"),
            ProjectState::Ready => None,
        };
        if let Some(doing) = doing.filter(|_| now - project.updated_at > MAX_TRANSITION) {
            let message = format!("{doing} the project {} has taken more than five minutes.", project.name);
            items.push(about(AttentionKind::ProjectStuck, Some(project.updated_at), message));
        }
        if let Some(problem) = &project.delete_problem {
            let message = sentence(&format!("The project {} was not deleted: {}", project.name, lower_first(problem)));
            let kept = about(AttentionKind::DeleteProblem, Some(project.updated_at), message);
            items.push(Attention { reason: Some(problem.clone()), ..kept });
        }
    }
    items
}

/// Returns `text` with exactly one full stop at its end.
fn sentence(text: &str) -> String {
    format!("{}.", text.trim_end_matches(['.', ' ', '\n']))
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn channel(events: &[NotificationEvent], enabled: bool, last_error: Option<&str>) -> ChannelHealth {
        ChannelHealth {
            id: Uuid::nil(),
            name: "Ops".to_owned(),
            events: events.to_vec(),
            enabled,
            last_error: last_error.map(str::to_owned),
            failing_since: None,
        }
    }

    #[test]
    fn failures_are_unheard_unless_enabled_channels_report_runs_and_backups() {
        use MissingPart::{BackupFailedChannel, RunFailedChannel};
        use NotificationEvent::{BackupFailed, RunFailed};
        let check = |channels: &[ChannelHealth], expected: &[AttentionKind], missing: &[MissingPart]| {
            let items = of_channels(channels);
            let kinds: Vec<_> = items.iter().map(|item| item.kind).collect();
            assert_eq!(kinds, expected, "{channels:?}");
            assert_eq!(items.into_iter().flat_map(|item| item.missing).collect::<Vec<_>>(), missing, "{channels:?}");
        };
        let both = [RunFailedChannel, BackupFailedChannel];
        check(&[], &[AttentionKind::FailuresUnheard], &both);
        check(&[channel(&[RunFailed], true, None)], &[AttentionKind::FailuresUnheard], &[BackupFailedChannel]);
        check(&[channel(&[BackupFailed], true, None)], &[AttentionKind::FailuresUnheard], &[RunFailedChannel]);
        check(&[channel(&[RunFailed], true, None), channel(&[BackupFailed], true, None)], &[], &[]);
        check(&[channel(&[RunFailed, BackupFailed], false, Some("x"))], &[AttentionKind::FailuresUnheard], &both);
        check(&[channel(&[RunFailed, BackupFailed], true, Some("x"))], &[AttentionKind::ChannelFailing], &[]);
    }

    #[test]
    fn projects_need_attention_when_a_transition_takes_long_or_a_deletion_failed() {
        let now = Utc::now();
        let project = |state, minutes: i64| ProjectRef {
            id: "abcdefgh".to_owned(),
            name: "Shop".to_owned(),
            state,
            cors_origins: Vec::new(),
            created_at: now,
            updated_at: now - TimeDelta::minutes(minutes),
            delete_after_run: None,
            delete_problem: None,
            protected: false,
            note: String::new(),
        };
        let kinds =
            |project: ProjectRef| of_projects(&[project], now).into_iter().map(|item| item.kind).collect::<Vec<_>>();
        assert_eq!(kinds(project(ProjectState::Creating, 1)), []);
        assert_eq!(kinds(project(ProjectState::Creating, 6)), [AttentionKind::ProjectStuck]);
        assert_eq!(kinds(project(ProjectState::Ready, 600)), []);
        let kept = ProjectRef { delete_problem: Some("The backup failed".into()), ..project(ProjectState::Ready, 1) };
        let items = of_projects(std::slice::from_ref(&kept), now);
        assert_eq!(items[0].message, "The project Shop was not deleted: the backup failed.");
    }

    #[test]
    fn texts_end_with_one_full_stop() {
        assert_eq!(sentence("It broke."), "It broke.");
        assert_eq!(sentence("It broke"), "It broke.");
        assert_eq!(lower_first("No job."), "no job.");
    }
}
