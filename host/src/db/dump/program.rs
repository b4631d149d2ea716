//! Finds `pg_dump` and starts it.

use std::{collections::HashMap, path::PathBuf, process::Stdio};

use parking_lot::Mutex;
use tokio::process::{Child, Command};

use super::DumpError;
use crate::db::{
    ServerAddress,
    connect::Login,
    programs::{find_dump_programs, version_of},
    session_settings,
};

/// Limits the time that `pg_dump` waits for the lock of a table to 30 seconds. The snapshot's transaction holds the
/// same locks, so a session that blocks `pg_dump` may be waiting for that transaction. The timeout ends this deadlock.
const LOCK_WAIT: &str = "--lock-wait-timeout=30000";

/// Settings of a dump.
#[derive(Debug, Clone, Copy, Default)]
pub struct DumpOptions {
    /// Compression level from 0 to 9. `None` uses `pg_dump`'s default.
    pub compression: Option<u8>,
    pub format: DumpFormat,
}

/// Format of a dump.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DumpFormat {
    /// An archive for `pg_restore`.
    #[default]
    Custom,
    /// An SQL script for `psql`, without owners and privileges, so that it can be run in any database.
    Script,
}

/// Finds `pg_dump` programs and caches them by the server's major version.
pub(in crate::db) struct DumpPrograms {
    preferred: Option<PathBuf>,
    cache: Mutex<HashMap<u32, DumpProgram>>,
}

/// An installed `pg_dump`.
#[derive(Debug, Clone)]
pub(in crate::db) struct DumpProgram {
    path: PathBuf,
    pub(in crate::db) major: u32,
    /// For example `15.14`.
    pub(super) version: String,
}

impl DumpPrograms {
    /// Creates an empty cache. `preferred` is a folder that is searched in addition to the usual ones. Its programs are
    /// preferred among those of the same version.
    pub(in crate::db) fn new(preferred: Option<PathBuf>) -> Self {
        Self { preferred, cache: Mutex::default() }
    }

    /// Returns a `pg_dump` for a server of this major version.
    pub(in crate::db) async fn find(&self, server_major: u32) -> Result<DumpProgram, DumpError> {
        if let Some(program) = self.cache.lock().get(&server_major)
            // An upgrade may have removed the program.
            && program.path.is_file()
        {
            return Ok(program.clone());
        }
        let preferred = self.preferred.clone();
        let search = tokio::task::spawn_blocking(move || {
            let binaries = find_dump_programs(preferred.as_deref(), server_major)?;
            let path = binaries.program("pg_dump");
            Some(DumpProgram { version: version_of(&path)?, major: binaries.major, path })
        });
        let program = search
            .await
            .map_err(|error| DumpError::NotRun(error.into()))?
            .ok_or(DumpError::NoProgram { server_major })?;
        self.cache.lock().insert(server_major, program.clone());
        Ok(program)
    }
}

impl DumpProgram {
    /// Returns the path of the `pg_restore` in the same folder, which has the same major version.
    pub(in crate::db) fn restore_program(&self) -> PathBuf {
        self.path.with_file_name("pg_restore")
    }

    /// Starts `pg_dump` on an exported snapshot. The process is killed when the returned value is dropped.
    pub(super) fn start(
        &self,
        address: &ServerAddress,
        login: &Login,
        snapshot: &str,
        options: &DumpOptions,
    ) -> Result<Child, DumpError> {
        let mut command =
            address.client_command(&self.path, self.major, login, "atlashub dump").map_err(DumpError::NotRun)?;
        command.args(["--no-password", "--encoding=UTF8", LOCK_WAIT]);
        match options.format {
            DumpFormat::Custom => command.arg("--format=custom"),
            DumpFormat::Script => command.args(["--format=plain", "--no-owner", "--no-privileges"]),
        };
        command.arg(format!("--snapshot={snapshot}")).env("PGOPTIONS", session_settings::ALWAYS);
        if let Some(compression) = options.compression {
            command.arg(format!("--compress={}", compression.min(9)));
        }
        let mut command = Command::from(command);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A separate process group keeps Ctrl-C in a terminal from the child. This process stops the child itself.
            .process_group(0)
            .kill_on_drop(true);
        command.spawn().map_err(|error| DumpError::NotRun(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn missing_pg_dump_version_is_an_error_that_names_the_package() {
        let error = DumpPrograms::new(None).find(99).await.unwrap_err();
        assert!(matches!(error, DumpError::NoProgram { server_major: 99 }), "{error:?}");
        assert!(error.to_string().contains("postgresql-client-99"), "{error}");
    }

    #[tokio::test]
    async fn clean_command_sets_only_search_paths() {
        let program = DumpPrograms::new(None).find(15).await.unwrap();
        let command = crate::db::programs::clean_command(&program.path);
        let passed: Vec<_> = command.get_envs().filter_map(|(name, _)| name.to_str()).collect();
        let allowed = ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];
        assert!(passed.iter().all(|name| allowed.contains(name)), "{passed:?}");
    }
}
