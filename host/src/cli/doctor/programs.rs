//! Checks for `pg_dump` and `pg_restore`, which backups need.

use std::path::Path;

use super::report::Report;
use crate::db::programs;

pub(super) fn check(bin_dir: Option<&Path>, server_major: u32, report: &mut Report) {
    match programs::find_dump_programs(bin_dir, server_major) {
        Some(found) => {
            let programs = format!("pg_dump and pg_restore {} in {}", found.major, found.folder.display());
            // An archive can be read by the version that wrote it and by newer ones.
            let consequence = match found.major > server_major {
                true => format!(
                    "; the server is version {server_major}, so backups can be restored only with programs of version \
                     {} or newer, unless you install the Postgres {server_major} client programs",
                    found.major
                ),
                false => String::new(),
            };
            report.ok("backups", programs + &consequence);
        }
        None => report.problem(
            "backups",
            format!(
                "backups can't be created, because no pg_dump and pg_restore of version {server_major} or newer were \
                 found: install the Postgres {server_major} client programs (on Debian: \
                 `apt-get install postgresql-client-{server_major}`)."
            ),
        ),
    }
}
