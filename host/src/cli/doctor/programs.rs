//! Checks for `pg_dump` and `pg_restore`, which backups need.

use std::path::Path;

use super::report::Report;
use crate::db::programs;

pub(super) fn check(bin_dir: Option<&Path>, server_major: u32, report: &mut Report) {
    match programs::find_dump_programs(bin_dir, server_major) {
        Some(found) => {
            report.ok("backups", format!("pg_dump and pg_restore {} in {}", found.major, found.folder.display()));
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
