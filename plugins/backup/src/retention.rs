//! Which backups are kept: the newest few, and one for each of the last days, weeks and months (grandfather, father, son).

use std::collections::BTreeSet;

use atlashub_plugin_sdk::prelude::*;

use crate::time;

/// How many to keep. What any rule keeps is kept; the newest backup always is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Retention {
    /// The newest so many.
    keep_last: u32,
    /// The newest of each of the last so many days that have one, in UTC.
    daily: u32,
    /// The same for weeks, from Monday to Sunday.
    weekly: u32,
    /// The same for months.
    monthly: u32,
}

impl Retention {
    /// A policy that keeps nothing would be a typing mistake with the worst of outcomes.
    pub(crate) fn check(self) -> Result<()> {
        if self == Self::default() {
            return Err(Error::invalid(
                "the retention keeps nothing: give at least one of keepLast, daily, weekly and monthly",
            ));
        }
        Ok(())
    }

    /// Whether each of the backups is kept, by their times in milliseconds, in any order.
    pub(crate) fn keeps(self, created_at: &[u64]) -> Vec<bool> {
        let mut newest_first: Vec<usize> = (0..created_at.len()).collect();
        newest_first.sort_by_key(|&index| std::cmp::Reverse(created_at[index]));
        let mut keeps = vec![false; created_at.len()];
        for &index in newest_first.iter().take(self.keep_last.max(1) as usize) {
            keeps[index] = true;
        }
        let month = |ms| {
            let date = time::date(ms);
            date.year.unsigned_abs() * 12 + u64::from(date.month)
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
                    keeps[index] = true;
                }
            }
        }
        keeps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600 * 1000;
    const DAY: u64 = 24 * HOUR;
    /// 2026-01-02 03:04:05 UTC, a Friday.
    const NOW: u64 = 1_767_323_045_000;

    /// Days before `NOW` of the backups that are kept.
    fn kept(retention: Retention, days_ago: &[u64]) -> Vec<u64> {
        let times: Vec<u64> = days_ago.iter().map(|days| NOW - days * DAY).collect();
        let keeps = retention.keeps(&times);
        days_ago.iter().zip(keeps).filter(|(_, keep)| *keep).map(|(days, _)| *days).collect()
    }

    #[test]
    fn the_newest_few_are_kept_in_whatever_order_they_come() {
        let retention = Retention { keep_last: 2, ..Retention::default() };
        assert_eq!(kept(retention, &[0, 1, 2, 3]), [0, 1]);
        assert_eq!(kept(retention, &[3, 0, 2, 1]), [0, 1]);
        assert_eq!(kept(retention, &[5]), [5]);
        assert!(kept(retention, &[]).is_empty());
    }

    #[test]
    fn of_each_day_the_newest_is_kept() {
        let times = [NOW, NOW - HOUR, NOW - 2 * HOUR, NOW - DAY, NOW - DAY - HOUR, NOW - 2 * DAY];
        let keeps = Retention { daily: 2, ..Retention::default() }.keeps(&times);
        assert_eq!(keeps, [true, false, false, true, false, false]);
    }

    #[test]
    fn days_without_a_backup_take_no_place() {
        assert_eq!(kept(Retention { daily: 3, ..Retention::default() }, &[0, 10, 20, 30]), [0, 10, 20]);
    }

    #[test]
    fn weeks_and_months_keep_their_newest() {
        // Friday 2 January; 4 days before it is Monday 29 December, 5 days is the Sunday of the week before.
        assert_eq!(kept(Retention { weekly: 2, ..Retention::default() }, &[0, 1, 4, 5, 6, 12]), [0, 5]);
        // 2 days before is 31 December, 33 days 30 November.
        assert_eq!(kept(Retention { monthly: 3, ..Retention::default() }, &[0, 1, 2, 10, 33, 40]), [0, 2, 33]);
    }

    #[test]
    fn a_hundred_days_of_backups_come_down_to_what_the_rules_say() {
        let days: Vec<u64> = (0..100).collect();
        let retention = Retention { keep_last: 3, daily: 7, weekly: 4, monthly: 3 };
        let kept = kept(retention, &days);
        assert_eq!(kept[..7], [0, 1, 2, 3, 4, 5, 6]);
        // Sundays 28 and 21 and 14 December, and 30 November.
        assert_eq!(kept[7..], [12, 19, 33]);
    }

    #[test]
    fn the_newest_is_never_removed() {
        assert_eq!(kept(Retention::default(), &[4, 9]), [4]);
    }

    #[test]
    fn a_policy_that_keeps_nothing_is_refused() {
        assert_eq!(Retention::default().check().unwrap_err().code, ErrorCode::Invalid);
        assert!(Retention { monthly: 1, ..Retention::default() }.check().is_ok());
        assert!(serde_json::from_str::<Retention>(r#"{"keepLatest": 3}"#).is_err());
    }
}
