//! Names of the objects of a backup.

use crate::time;

/// The platform's own bucket.
pub(crate) const STORE: &str = "backups";

/// A custom-format archive of `pg_dump` has no registered media type.
pub(crate) const DUMP_TYPE: &str = "application/octet-stream";

pub(crate) const MANIFEST_TYPE: &str = "application/json";

/// Where a backup's two objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) dump: String,
    pub(crate) manifest: String,
}

/// `backups/project/abc/20260102T030405Z-<run id>.dump`, and the same with `.json`. The run's id keeps two runs within one second
/// apart; the time lets a listing sort.
pub(crate) fn keys(target: &str, created_at: u64, run_id: &str) -> Keys {
    let stem = format!("backups/{}/{}-{run_id}", target.replace(':', "/"), time::compact(created_at));
    Keys { dump: format!("{stem}.dump"), manifest: format!("{stem}.json") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_of_what_and_when_and_by_which_run() {
        let keys = keys("project:abc", 1_767_323_045_000, "0189");
        assert_eq!(keys.dump, "backups/project/abc/20260102T030405Z-0189.dump");
        assert_eq!(keys.manifest, "backups/project/abc/20260102T030405Z-0189.json");
        assert_eq!(super::keys("platform", 0, "r").dump, "backups/platform/19700101T000000Z-r.dump");
    }
}
