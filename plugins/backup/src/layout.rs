//! Keys of the objects of a backup.

use crate::time;

/// The store for backups: the platform's bucket.
pub(crate) const STORE: &str = "backups";

/// Content type of dumps. There is no registered media type for the custom format of `pg_dump`.
pub(crate) const DUMP_TYPE: &str = "application/octet-stream";

/// Content type of manifests.
pub(crate) const MANIFEST_TYPE: &str = "application/json";

/// Keys of a backup's objects in the store. The host writes `list` (the objects of a project) and `names` (of their
/// copies); this plugin writes the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) dump: String,
    pub(crate) manifest: String,
    pub(crate) list: String,
    pub(crate) names: String,
}

/// Returns the keys of a backup, for example `backups/project/abc/20260102T030405Z-<run id>.dump`. The keys differ only
/// in their extensions.
///
/// The time makes keys sort by age. The run's id makes keys unique when two runs start in the same second.
pub(crate) fn keys(target: &str, created_at: u64, run_id: &str) -> Keys {
    let stem = format!("backups/{}/{}-{run_id}", target.replace(':', "/"), time::compact(created_at));
    Keys {
        dump: format!("{stem}.dump"),
        manifest: format!("{stem}.json"),
        list: format!("{stem}.objects"),
        names: format!("{stem}.names"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_contain_target_time_and_run() {
        let keys = keys("project:abc", 1_767_323_045_000, "0189");
        assert_eq!(keys.dump, "backups/project/abc/20260102T030405Z-0189.dump");
        assert_eq!(keys.manifest, "backups/project/abc/20260102T030405Z-0189.json");
        assert_eq!(super::keys("platform", 0, "r").dump, "backups/platform/19700101T000000Z-r.dump");
    }
}
