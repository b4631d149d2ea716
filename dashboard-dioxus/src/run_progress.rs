//! The progress of a run in numbers.

use api_types::RunProgress;

use crate::text;

/// The plugin of restores. Some of its progress is in bytes, see [`IN_BYTES`].
const RESTORE: &str = "restore";
/// Messages of a restore whose numbers are bytes.
const IN_BYTES: [&str; 2] = ["Loading the archive", "Creating indexes and constraints"];

/// Returns the share that is done, in percent. `None` if the total is unknown or 0. Also `None` if the run has a single
/// step that is in progress, because such a run has no measure for its progress.
pub fn percent(progress: &RunProgress) -> Option<u64> {
    let total = progress.total.filter(|total| *total > 0)?;
    if (progress.done, total) == (0, 1) {
        return None;
    }
    u64::try_from((u128::from(progress.done) * 100 / u128::from(total)).min(100)).ok()
}

/// Returns the amount of work that is done, for example `3 of 12` or `78 MB of 132 MB`, or `3` if the total is unknown
/// or 0. Empty for a run with a single step.
pub fn amount(plugin: &str, progress: &RunProgress) -> String {
    let is_in_bytes = plugin == RESTORE && IN_BYTES.contains(&progress.message.as_str());
    let number = |value: u64| {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        if is_in_bytes { text::bytes(value) } else { text::number(value) }
    };
    match progress.total.filter(|total| *total > 0) {
        Some(1) => String::new(),
        Some(total) => format!("{} of {}", number(progress.done), number(total)),
        None => number(progress.done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(done: u64, total: Option<u64>, message: &str) -> RunProgress {
        RunProgress { done, total, message: message.to_owned() }
    }

    #[test]
    fn run_with_a_single_step_has_no_measure() {
        let backup = |done| progress(done, Some(1), "Backing up Shop, 12 MB");
        assert_eq!((percent(&backup(0)), percent(&backup(1))), (None, Some(100)));
        assert_eq!(amount("backup", &backup(0)), "");
        assert_eq!(percent(&progress(0, Some(2), "")), Some(0));
        assert_eq!(percent(&progress(3, Some(2), "")), Some(100));
        assert_eq!((percent(&progress(3, None, "")), percent(&progress(0, Some(0), ""))), (None, None));
    }

    #[test]
    fn restore_counts_bytes_while_it_loads() {
        let loading = progress(78_000_000, Some(132_000_000), "Loading the archive");
        assert_eq!(amount("restore", &loading), format!("{} of {}", text::bytes(78_000_000), text::bytes(132_000_000)));
        assert_eq!(amount("restore", &progress(3, Some(12), "Restoring objects")), "3 of 12");
        assert_eq!(amount("other", &progress(3, Some(12), "Loading the archive")), "3 of 12");
        assert_eq!(amount("other", &progress(3, None, "")), "3");
    }
}
