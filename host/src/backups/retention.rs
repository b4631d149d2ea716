//! Predicts which retention rules keep a backup, and when it will be removed. The plugin `backup` applies the rules.

use std::collections::{BTreeSet, HashMap};

use api_types::{BackupRetention, BackupState, Job, KeptBy, WillGo};
use chrono::{DateTime, Datelike as _, Utc};
use uuid::Uuid;

use super::{
    create,
    queries::{BackupRow, ProtectedRow},
};
use crate::{db::DatabaseName, jobs::Schedule};

/// Name of the plugin's job that only applies a retention policy.
pub(super) const PRUNE_JOB: &str = "prune";
/// Value of a job's parameter `target` that stands for every database.
pub(super) const ALL_TARGETS: &str = "all";
/// Maximum number of future runs that are simulated.
const MAX_FUTURE_RUNS: usize = 400;

/// The predicted fate of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) kept_by: Vec<KeptBy>,
    pub(super) goes_at: Option<DateTime<Utc>>,
    /// Whether it is the only good backup of its database.
    pub(super) only_good: bool,
}

/// A job that creates backups, removes old backups, or does both.
#[derive(Debug, Clone)]
struct PolicyJob {
    target: String,
    makes_backups: bool,
    retention: Option<BackupRetention>,
    fire_times: Vec<DateTime<Utc>>,
}

/// Returns the retention policy in the parameters of a job.
pub(super) fn policy_of(job: &Job) -> Option<BackupRetention> {
    serde_json::from_value(job.params.get("retention")?.clone()).ok()
}

/// Returns whether the policy of a job has no rule. The plugin refuses every run of such a job, so it neither makes nor
/// removes backups. Such a job can't be saved any more, but an older one may exist.
pub(super) fn has_empty_policy(job: &Job) -> bool {
    policy_of(job) == Some(BackupRetention::default())
}

/// Returns the fate of each backup. `jobs` are the plugin's enabled jobs, and `databases` are the existing databases.
pub(super) fn fates(
    backups: &[BackupRow],
    jobs: &[Job],
    databases: &[ProtectedRow],
    now: DateTime<Utc>,
) -> HashMap<Uuid, Fate> {
    let able = jobs.iter().filter(|job| !has_empty_policy(job));
    let jobs: Vec<PolicyJob> = able.filter_map(|job| policy_job(job, now)).collect();
    let live: BTreeSet<String> = databases.iter().map(ProtectedRow::target).collect();
    let mut by_target: HashMap<&str, Vec<&BackupRow>> = HashMap::new();
    let mut fates = HashMap::new();
    for backup in backups {
        match backup.state {
            BackupState::Missing => drop(fates.insert(backup.id, Fate::default())),
            BackupState::Failed => {
                fates.insert(backup.id, Fate { kept_by: vec![KeptBy::Failed], ..Fate::default() });
            }
            BackupState::Ready | BackupState::Verified => {
                by_target.entry(backup.target.as_str()).or_default().push(backup);
            }
        }
    }
    for (target, backups) in by_target {
        let covers = |job: &&PolicyJob| {
            // A backup job for all databases does not touch backups of deleted databases. A prune job does.
            let covers_all = job.target == ALL_TARGETS && (live.contains(target) || !job.makes_backups);
            covers_all || job.target == target
        };
        let covering: Vec<&PolicyJob> = jobs.iter().filter(covers).collect();
        let times: Vec<DateTime<Utc>> = backups.iter().map(|backup| backup.created_at).collect();
        let mut of_target = fates_of_target(&covering, &times);
        if let [only] = of_target.as_mut_slice() {
            only.only_good = true;
        }
        fates.extend(backups.iter().map(|backup| backup.id).zip(of_target));
    }
    fates
}

/// Returns the time of the next removal among these backups, and the number and size of the backups removed then.
pub(super) fn next_to_go<'a>(backups: impl Iterator<Item = (&'a BackupRow, &'a Fate)> + Clone) -> Option<WillGo> {
    let at = backups.clone().filter_map(|(_, fate)| fate.goes_at).min()?;
    let going = backups.filter(|(_, fate)| fate.goes_at == Some(at));
    let (count, bytes) = going.fold((0, 0), |(count, bytes), (backup, _)| (count + 1, bytes + backup.size_bytes));
    Some(WillGo { at, count, bytes })
}

fn policy_job(job: &Job, now: DateTime<Utc>) -> Option<PolicyJob> {
    let target = job.params.get("target")?.as_str()?.to_owned();
    let makes_backups = job.plugin_job.as_deref() == Some(create::JOB);
    let schedule = Schedule::parse(&job.schedule_cron, &job.timezone).ok()?;
    let fire_times = schedule.upcoming(now, MAX_FUTURE_RUNS);
    Some(PolicyJob { target, makes_backups, retention: policy_of(job), fire_times })
}

/// Returns the fates of the backups of one database. `times` are the times when the backups were created.
fn fates_of_target(jobs: &[&PolicyJob], times: &[DateTime<Utc>]) -> Vec<Fate> {
    let policies: Vec<BackupRetention> = jobs.iter().filter_map(|job| job.retention).collect();
    if policies.is_empty() {
        return vec![Fate { kept_by: vec![KeptBy::NoPolicy], ..Fate::default() }; times.len()];
    }
    let mut fates = vec![Fate::default(); times.len()];
    let rules: Vec<Vec<Vec<KeptBy>>> = policies.iter().map(|policy| rules_that_keep(*policy, times)).collect();
    for (index, fate) in fates.iter_mut().enumerate() {
        let of_policies: Vec<&Vec<KeptBy>> = rules.iter().filter_map(|rules| rules.get(index)).collect();
        // Every policy is applied, so a backup stays only if each of them keeps it.
        if of_policies.iter().all(|rules| !rules.is_empty()) {
            let kept_by = KeptBy::ALL.iter().copied();
            fate.kept_by = kept_by.filter(|rule| of_policies.iter().any(|rules| rules.contains(rule))).collect();
        }
    }
    for (index, at) in removals(jobs, times) {
        if let Some(fate) = fates.get_mut(index) {
            fate.goes_at = Some(at);
        }
    }
    fates
}

/// Simulates the future runs of the jobs, as if every run succeeded. Returns the index of each removed backup, and the
/// time of its removal.
fn removals(jobs: &[&PolicyJob], times: &[DateTime<Utc>]) -> Vec<(usize, DateTime<Utc>)> {
    let mut runs: Vec<(DateTime<Utc>, &PolicyJob)> =
        jobs.iter().flat_map(|job| job.fire_times.iter().map(|at| (*at, *job))).collect();
    runs.sort_by_key(|(at, _)| *at);
    // Future backups have no index.
    let mut kept: Vec<(Option<usize>, DateTime<Utc>)> =
        times.iter().enumerate().map(|(index, at)| (Some(index), *at)).collect();
    let mut removed = Vec::new();
    for (at, job) in runs.into_iter().take(MAX_FUTURE_RUNS) {
        if removed.len() == times.len() {
            break;
        }
        if job.makes_backups {
            kept.push((None, at));
        }
        let Some(policy) = job.retention else { continue };
        let made_at: Vec<DateTime<Utc>> = kept.iter().map(|(_, at)| *at).collect();
        let rules = rules_that_keep(policy, &made_at);
        let mut rules = rules.iter();
        kept.retain(|(index, _)| {
            let is_kept = rules.next().is_some_and(|rules| !rules.is_empty());
            if let (false, Some(index)) = (is_kept, index) {
                removed.push((*index, at));
            }
            is_kept
        });
    }
    removed
}

/// Returns for each backup the rules of the policy that keep it, as the plugin applies them. Every policy keeps the
/// newest backup. Days, weeks and months are in UTC. Weeks start on Monday.
fn rules_that_keep(policy: BackupRetention, times: &[DateTime<Utc>]) -> Vec<Vec<KeptBy>> {
    let mut newest_first: Vec<(usize, DateTime<Utc>)> = times.iter().copied().enumerate().collect();
    newest_first.sort_by_key(|(_, at)| std::cmp::Reverse(*at));
    let mut rules = vec![Vec::new(); times.len()];
    let mut keep = |index: usize, rule: KeptBy| {
        if let Some(rules) = rules.get_mut(index) {
            rules.push(rule);
        }
    };
    for (index, _) in newest_first.iter().take(policy.keep_last.max(1) as usize) {
        keep(*index, KeptBy::Last);
    }
    let periods: [(u32, KeptBy, PeriodOf); 3] = [
        (policy.daily, KeptBy::Daily, day),
        (policy.weekly, KeptBy::Weekly, week),
        (policy.monthly, KeptBy::Monthly, month),
    ];
    for (count, rule, period_of) in periods {
        let mut seen = BTreeSet::new();
        for (index, at) in &newest_first {
            if seen.len() == count as usize {
                break;
            }
            if seen.insert(period_of(*at)) {
                keep(*index, rule);
            }
        }
    }
    rules
}

/// A function that returns the number of the period that contains a time.
type PeriodOf = fn(DateTime<Utc>) -> i32;

fn day(at: DateTime<Utc>) -> i32 {
    at.date_naive().num_days_from_ce()
}

/// Returns the number of the week. Day 1 of the common era is a Monday in chrono's calendar.
fn week(at: DateTime<Utc>) -> i32 {
    (day(at) - 1).div_euclid(7)
}

fn month(at: DateTime<Utc>) -> i32 {
    at.year() * 12 + at.month0() as i32
}

impl ProtectedRow {
    pub(super) fn target(&self) -> String {
        match &self.project_id {
            Some(id) => DatabaseName::Project(id.clone()).to_string(),
            None => DatabaseName::Platform.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    /// A Friday.
    fn now() -> DateTime<Utc> {
        "2026-01-02T03:04:05Z".parse().unwrap()
    }

    fn days_ago(days: i64) -> DateTime<Utc> {
        now() - TimeDelta::days(days)
    }

    fn daily_job(retention: Option<BackupRetention>) -> PolicyJob {
        let fire_times = (1..=400).map(|days| days_ago(-days)).collect();
        PolicyJob { target: ALL_TARGETS.to_owned(), makes_backups: true, retention, fire_times }
    }

    #[test]
    fn rules_keep_the_newest_backups_and_the_newest_of_each_period() {
        use KeptBy::{Daily, Last, Monthly, Weekly};
        let times: Vec<DateTime<Utc>> = [0, 1, 4, 5, 40].map(days_ago).to_vec();
        let check = |policy: BackupRetention, expected: [&[KeptBy]; 5]| {
            assert_eq!(rules_that_keep(policy, &times), expected.map(<[KeptBy]>::to_vec), "{policy:?}");
        };
        let none = BackupRetention::default();
        check(none, [&[Last], &[], &[], &[], &[]]);
        check(BackupRetention { keep_last: 2, ..none }, [&[Last], &[Last], &[], &[], &[]]);
        check(BackupRetention { daily: 2, ..none }, [&[Last, Daily], &[Daily], &[], &[], &[]]);
        // 2025-12-29 is a Monday. The day before it belongs to another week.
        check(BackupRetention { weekly: 2, ..none }, [&[Last, Weekly], &[], &[], &[Weekly], &[]]);
        check(BackupRetention { monthly: 3, ..none }, [&[Last, Monthly], &[], &[Monthly], &[], &[Monthly]]);
    }

    #[test]
    fn backups_are_removed_when_newer_ones_replace_them() {
        let job = daily_job(Some(BackupRetention { keep_last: 3, ..BackupRetention::default() }));
        let times = [0, 1, 2, 3].map(days_ago);
        let fates = fates_of_target(&[&job], &times);
        let goes_in: Vec<Option<i64>> =
            fates.iter().map(|fate| fate.goes_at.map(|at| (at - now()).num_days())).collect();
        assert_eq!(goes_in, [Some(3), Some(2), Some(1), Some(1)]);
        assert_eq!(fates[2].kept_by, [KeptBy::Last]);
        assert_eq!(fates[3].kept_by, [], "no rule keeps it");
    }

    #[test]
    fn backups_stay_without_a_policy_and_while_a_rule_keeps_them() {
        let fates = fates_of_target(&[&daily_job(None)], &[days_ago(0)]);
        assert_eq!(fates, [Fate { kept_by: vec![KeptBy::NoPolicy], ..Fate::default() }]);
        let long = BackupRetention { monthly: 24, ..BackupRetention::default() };
        let fates = fates_of_target(&[&daily_job(Some(long))], &[days_ago(40)]);
        assert_eq!((fates[0].kept_by.len(), fates[0].goes_at), (2, None));
    }

    #[test]
    fn backup_stays_only_if_every_policy_keeps_it() {
        let keep = |keep_last| daily_job(Some(BackupRetention { keep_last, ..BackupRetention::default() }));
        let (few, many) = (keep(1), keep(10));
        let fates = fates_of_target(&[&few, &many], &[days_ago(0), days_ago(1)]);
        assert_eq!((fates[0].kept_by.as_slice(), fates[1].kept_by.len()), ([KeptBy::Last].as_slice(), 0));
        assert_eq!(fates[1].goes_at, Some(days_ago(-1)));
    }
}
