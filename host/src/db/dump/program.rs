use std::{
    collections::HashMap,
    path::PathBuf,
    process::Stdio,
    sync::{Mutex, PoisonError},
};

use tokio::process::{Child, Command};

use super::{DumpError, DumpOptions};
use crate::db::{
    ServerAddress,
    connect::Login,
    programs::{find_dump_programs, version_of},
};

/// How long `pg_dump` waits for a table's lock. We hold our own already, so this ends a wait for somebody who waits
/// for us.
const LOCK_WAIT: &str = "--lock-wait-timeout=30000";

/// `pg_dump` programs by the server's major that they were looked for with.
pub(in crate::db) struct DumpPrograms {
    preferred: Option<PathBuf>,
    found: Mutex<HashMap<u32, DumpProgram>>,
}

/// One `pg_dump`.
#[derive(Debug, Clone)]
pub(in crate::db) struct DumpProgram {
    path: PathBuf,
    pub(in crate::db) major: u32,
    /// For example `15.14`.
    pub(super) version: String,
}

impl DumpPrograms {
    /// `preferred` is a folder that is looked into before the usual places.
    pub(in crate::db) fn new(preferred: Option<PathBuf>) -> Self {
        Self { preferred, found: Mutex::default() }
    }

    pub(in crate::db) async fn find(&self, server_major: u32) -> Result<DumpProgram, DumpError> {
        if let Some(program) = self.found().get(&server_major)
            // Not removed by an upgrade meanwhile.
            && program.path.is_file()
        {
            return Ok(program.clone());
        }
        let preferred = self.preferred.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let binaries = find_dump_programs(preferred.as_deref(), server_major)?;
            let path = binaries.program("pg_dump");
            Some(DumpProgram { version: version_of(&path)?, major: binaries.major, path })
        });
        let program = looked
            .await
            .map_err(|error| DumpError::NotRun(error.into()))?
            .ok_or(DumpError::NoProgram { server_major })?;
        self.found().insert(server_major, program.clone());
        Ok(program)
    }

    fn found(&self) -> std::sync::MutexGuard<'_, HashMap<u32, DumpProgram>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DumpProgram {
    /// The `pg_restore` beside it, which is of the same version.
    pub(in crate::db) fn restore_program(&self) -> PathBuf {
        self.path.with_file_name("pg_restore")
    }

    /// Starts it on the snapshot. Killed when dropped.
    pub(super) fn start(
        &self,
        address: &ServerAddress,
        login: &Login,
        snapshot: &str,
        options: &DumpOptions,
    ) -> Result<Child, DumpError> {
        let mut command =
            address.client_command(&self.path, self.major, login, "atlashub dump").map_err(DumpError::NotRun)?;
        command.args(["--format=custom", "--no-password", "--encoding=UTF8", LOCK_WAIT]);
        command.arg(format!("--snapshot={snapshot}"));
        if let Some(compression) = options.compression {
            command.arg(format!("--compress={}", compression.min(9)));
        }
        let mut command = Command::from(command);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal reaches us alone; we end it in order.
            .process_group(0)
            .kill_on_drop(true);
        command.spawn().map_err(|error| DumpError::NotRun(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_newer_than_every_pg_dump_is_told_with_the_remedy() {
        let error = DumpPrograms::new(None).find(99).await.unwrap_err();
        assert!(matches!(error, DumpError::NoProgram { server_major: 99 }), "{error:?}");
        assert!(error.to_string().contains("postgresql-client-99"), "{error}");
    }

    #[tokio::test]
    async fn nothing_of_our_environment_reaches_it() {
        let program = DumpPrograms::new(None).find(15).await.unwrap();
        let command = crate::db::programs::clean_command(&program.path);
        let passed: Vec<_> = command.get_envs().filter_map(|(name, _)| name.to_str()).collect();
        let allowed = ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];
        assert!(passed.iter().all(|name| allowed.contains(name)), "{passed:?}");
    }
}
