//! The number of connections to Postgres that a process needs in addition to those to projects' databases.

use crate::{
    backups::RestoreJob,
    config::Config,
    db::restore::LOAD_CONNECTIONS,
    jobs::{BuiltInJob as _, SCHEDULER_CONNECTIONS},
    plugins::guest,
};

/// Maximum number of connections of the platform database's pool, including those that listen to notifications.
pub(super) const PLATFORM_CONNECTIONS: u32 = 9;
/// The connection that detects that Postgres does not respond.
const HEARTBEAT_CONNECTIONS: usize = 1;
/// Connections that are open for a short time, to create, change or remove a project's database and roles.
const ADMINISTRATION_CONNECTIONS: usize = 2;

/// Returns the maximum number of connections of a process to Postgres, without those that
/// `ATLASHUB_PROJECT_CONNECTIONS` limits.
pub fn other_connections(config: &Config) -> usize {
    // The owner's list of a database's tables uses connections of its own, up to the same number as that of plugins.
    let listing = config.plugins.connections as usize;
    let of_every_process = PLATFORM_CONNECTIONS as usize + HEARTBEAT_CONNECTIONS + listing + ADMINISTRATION_CONNECTIONS;
    if !config.role.runs_jobs() {
        return of_every_process;
    }
    let restores = RestoreJob::MAX_RUNS * LOAD_CONNECTIONS;
    of_every_process + SCHEDULER_CONNECTIONS + guest::max_postgres_connections(&config.plugins) + restores
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Role, Vars};

    #[test]
    fn jobs_need_connections_of_their_own() {
        let config = Config::from_vars(&Vars::from_pairs([("ATLASHUB_ENV", "development")]), Role::All).unwrap();
        let of_role = |role| other_connections(&Config { role, ..config.clone() });
        assert_eq!([Role::Gateway, Role::Scheduler, Role::All].map(of_role), [16, 16 + 33, 16 + 33]);
    }

    #[test]
    fn limits_on_plugins_change_the_number_of_connections() {
        let read = |pairs: &[(&str, &str)]| {
            let config = Config::from_vars(&Vars::from_pairs(pairs.iter().copied()), Role::All).unwrap();
            other_connections(&config)
        };
        let default = read(&[("ATLASHUB_ENV", "development")]);
        for (name, value, more) in [
            ("ATLASHUB_PLUGIN_CONNECTIONS", "5", 3),
            ("ATLASHUB_PLUGIN_TOTAL_DUMPS", "5", 2),
            ("ATLASHUB_PLUGIN_TOTAL_QUERIES", "5", 1),
        ] {
            assert_eq!(read(&[(name, value)]), default + more, "{name}");
        }
    }
}
