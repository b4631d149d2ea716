//! Decides which backups to keep: the newest ones, and one for each of the last days, weeks and months (the
//! grandfather-father-son scheme).

use std::collections::BTreeSet;

use atlashub_plugin_sdk::{date::DateTime, prelude::*};

use crate::time;

/// Rules that decide which backups to keep. A backup is kept if any rule keeps it. The newest backup is always kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
// The host reports the description as the error if the parameters match this schema.
#[schemars(extend("not" = {
    "type": "object",
    "description": "no rule is set; set at least one of keepLast, daily, weekly and monthly to 1 or more",
    "properties": {
        "keepLast": { "const": 0 },
        "daily": { "const": 0 },
        "weekly": { "const": 0 },
        "monthly": { "const": 0 }
    }
}))]
pub(crate) struct Retention {
    /// Number of newest backups to keep.
    keep_last: u32,
    /// Number of most recent days (in UTC) with a backup. The newest backup of each is kept.
    daily: u32,
    /// Number of most recent weeks with a backup. The newest backup of each is kept. Weeks start on Monday.
    weekly: u32,
    /// Number of most recent months with a backup. The newest backup of each is kept.
    monthly: u32,
}

impl Retention {
    /// Rejects a policy without any rule, which is most likely a mistake. The schema rejects it when a job is saved;
    /// jobs that are older than this part of the schema may still have it.
    pub(crate) fn check(self) -> Result<()> {
        if self == Self::default() {
            return Err(Error::invalid(
                "the retention policy is empty: set at least one of keepLast, daily, weekly and monthly",
            ));
        }
        Ok(())
    }

    /// Returns for each backup whether to keep it. The backups are given by their times in milliseconds, in any order.
    pub(crate) fn select(self, created_at: &[u64]) -> Vec<bool> {
        let mut newest_first: Vec<usize> = (0..created_at.len()).collect();
        newest_first.sort_by_key(|&index| std::cmp::Reverse(created_at[index]));
        let mut keep = vec![false; created_at.len()];
        for &index in newest_first.iter().take(self.keep_last.max(1) as usize) {
            keep[index] = true;
        }
        let month = |ms| {
            let date = DateTime::from_millis(ms);
            date.year * 12 + date.month
        };
        let periods: [(u32, &dyn Fn(u64) -> u64); 3] =
            [(self.daily, &time::day_number), (self.weekly, &time::week_number), (self.monthly, &month)];
        for (count, period_of) in periods {
            let mut seen = BTreeSet::new();
            for &index in &newest_first {
                if seen.len() == count as usize {
                    break;
                }
                if seen.insert(period_of(created_at[index])) {
                    keep[index] = true;
                }
            }
        }
        keep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600 * 1000;
    const DAY: u64 = 24 * HOUR;
    /// 2026-01-02 03:04:05 UTC, a Friday.
    const NOW: u64 = 1_767_323_045_000;

    /// Returns which backups are kept, given their ages in days.
    fn kept(retention: Retention, days_ago: &[u64]) -> Vec<u64> {
        let times: Vec<u64> = days_ago.iter().map(|days| NOW - days * DAY).collect();
        let keep = retention.select(&times);
        days_ago.iter().zip(keep).filter(|(_, keep)| *keep).map(|(days, _)| *days).collect()
    }

    #[test]
    fn keep_last_keeps_newest_backups_whatever_the_input_order() {
        let retention = Retention { keep_last: 2, ..Retention::default() };
        assert_eq!(kept(retention, &[0, 1, 2, 3]), [0, 1]);
        assert_eq!(kept(retention, &[3, 0, 2, 1]), [0, 1]);
        assert_eq!(kept(retention, &[5]), [5]);
        assert!(kept(retention, &[]).is_empty());
    }

    #[test]
    fn daily_keeps_newest_backup_of_each_day() {
        let times = [NOW, NOW - HOUR, NOW - 2 * HOUR, NOW - DAY, NOW - DAY - HOUR, NOW - 2 * DAY];
        let keep = Retention { daily: 2, ..Retention::default() }.select(&times);
        assert_eq!(keep, [true, false, false, true, false, false]);
    }

    #[test]
    fn days_without_backup_do_not_count() {
        assert_eq!(kept(Retention { daily: 3, ..Retention::default() }, &[0, 10, 20, 30]), [0, 10, 20]);
    }

    #[test]
    fn weekly_and_monthly_keep_newest_backup_of_each_period() {
        // Today is Friday 2 January. 4 days ago was Monday 29 December; 5 days ago was Sunday of the previous week.
        assert_eq!(kept(Retention { weekly: 2, ..Retention::default() }, &[0, 1, 4, 5, 6, 12]), [0, 5]);
        // 2 days ago was 31 December; 33 days ago was 30 November.
        assert_eq!(kept(Retention { monthly: 3, ..Retention::default() }, &[0, 1, 2, 10, 33, 40]), [0, 2, 33]);
    }

    #[test]
    fn all_rules_together_keep_the_union() {
        let days: Vec<u64> = (0..100).collect();
        let retention = Retention { keep_last: 3, daily: 7, weekly: 4, monthly: 3 };
        let kept = kept(retention, &days);
        assert_eq!(kept[..7], [0, 1, 2, 3, 4, 5, 6]);
        // Sunday 21 December, Sunday 14 December and 30 November.
        assert_eq!(kept[7..], [12, 19, 33]);
    }

    #[test]
    fn newest_backup_is_always_kept() {
        assert_eq!(kept(Retention::default(), &[4, 9]), [4]);
    }

    #[test]
    fn empty_policy_is_rejected() {
        assert_eq!(Retention::default().check().unwrap_err().code, ErrorCode::Invalid);
        assert!(Retention { monthly: 1, ..Retention::default() }.check().is_ok());
        assert!(serde_json::from_str::<Retention>(r#"{"keepLatest": 3}"#).is_err());
    }
}
