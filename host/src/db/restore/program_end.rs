//! Waits for the end of `pg_restore`, and reads its messages.
//!
//! Before the first error about an entry, `pg_restore` names the entry in a line like
//! `pg_restore: from TOC entry 31; 1259 16401 INDEX …`. An archive can contain names that look like such lines. Such a
//! name can only attribute an error to a wrong object of the same archive.

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, ChildStderr},
};

use super::{RestoreError, program::no_pipes};
use crate::db::dump::stderr::{is_disconnection, safe_message};

const PROGRAM: &str = "pg_restore";
/// The first version of Postgres that supports the setting `transaction_timeout`.
const TIMEOUT_SETTING_MAJOR: u32 = 17;
/// The error about this setting on a server that lacks it.
const TOLERATED: &str = "unrecognized configuration parameter \"transaction_timeout\"";
/// Maximum length of a line of messages. Longer lines are read in parts.
const MAX_LINE_BYTES: u64 = 64 << 10;
/// Total size of the messages that are kept. Further messages are dropped.
const MAX_ERROR_BYTES: usize = 8 << 10;
/// Maximum number of entries that may fail while the program continues.
const MAX_FAILED_ENTRIES: usize = 1000;

/// The consequence of a failed statement of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnError {
    Exit,
    /// `pg_restore` of version 17 or newer sets `transaction_timeout`, which older servers don't support. Only this
    /// statement may fail. `pg_restore` continues after every error, so its messages are checked.
    TolerateTimeoutSetting,
}

impl OnError {
    pub(super) fn of(program_major: u32, server_major: u32) -> Self {
        match program_major >= TIMEOUT_SETTING_MAJOR && server_major < TIMEOUT_SETTING_MAJOR {
            true => Self::TolerateTimeoutSetting,
            false => Self::Exit,
        }
    }
}

/// The end of a program.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    Succeeded,
    /// The connection to Postgres was lost, or could not be opened at present. Contains the message.
    Disconnected(String),
    Failed {
        /// Id of the archive's entry that failed.
        entry: Option<u32>,
        message: String,
    },
}

/// An entry that `pg_restore` could not restore.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FailedEntry {
    pub(super) id: u32,
    pub(super) message: String,
}

impl End {
    fn failed(entry: Option<u32>, stderr: &str) -> Self {
        let message = message_of(stderr);
        match stderr.lines().any(is_disconnection) {
            true => Self::Disconnected(message),
            false => Self::Failed { entry, message },
        }
    }

    pub(super) fn into_result(self) -> Result<(), RestoreError> {
        match self {
            Self::Succeeded => Ok(()),
            Self::Disconnected(message) => Err(RestoreError::Unreachable(anyhow::anyhow!(message))),
            Self::Failed { message, .. } => Err(RestoreError::from_program(message)),
        }
    }
}

/// Waits for the end of a program that exits at the first error.
pub(super) async fn ended(child: &mut Child) -> Result<End, RestoreError> {
    let mut lines = Lines::of(child)?;
    let (mut entry, mut errors) = (None, String::new());
    while let Some(line) = lines.next().await {
        entry = entry.or_else(|| entry_id(&line));
        let is_error = ["pg_restore: error: ", "pg_restore: detail: "].iter().any(|start| line.starts_with(start));
        if is_error && errors.len() < MAX_ERROR_BYTES {
            errors.push_str(&line);
        }
    }
    match child.wait().await {
        Ok(status) if status.success() => Ok(End::Succeeded),
        Ok(status) => {
            tracing::warn!(%status, "pg_restore failed; the run's error contains its messages");
            Ok(End::failed(entry, &errors))
        }
        Err(error) => Err(RestoreError::NotRun(error.into())),
    }
}

/// Waits for the end of a program that continues after errors, and stops it at the first error that matters.
pub(super) async fn ended_tolerantly(child: &mut Child) -> Result<End, RestoreError> {
    let mut lines = Lines::of(child)?;
    let (mut tolerated, mut entry) = (0_u32, None);
    while let Some(line) = lines.next().await {
        entry = entry_id(&line).or(entry);
        if !line.starts_with("pg_restore: error: ") {
            continue;
        }
        if !line.contains(TOLERATED) {
            let _ = child.start_kill();
            let _ = child.wait().await;
            return Ok(End::failed(entry, &line));
        }
        tolerated += 1;
    }
    match child.wait().await {
        Ok(status) if status.success() || (tolerated > 0 && status.code() == Some(1)) => Ok(End::Succeeded),
        Ok(_) => Ok(End::failed(None, "")),
        Err(error) => Err(RestoreError::NotRun(error.into())),
    }
}

/// Waits for the end of a program that continues after errors. Returns the entries that failed.
pub(super) async fn ended_leniently(child: &mut Child) -> Result<Vec<FailedEntry>, RestoreError> {
    let mut lines = Lines::of(child)?;
    let (mut failed, mut entry, mut problem) = (Vec::<FailedEntry>::new(), None, None);
    let mut is_complete = false;
    while let Some(line) = lines.next().await {
        // The last line, unless the program ended early.
        is_complete = line.starts_with("pg_restore: warning: errors ignored on restore: ");
        entry = entry_id(&line).or(entry);
        if !line.starts_with("pg_restore: error: ") {
            continue;
        }
        if is_disconnection(&line) {
            // The program continues, and all further entries fail.
            let _ = child.start_kill();
            let _ = child.wait().await;
            return Err(RestoreError::Unreachable(anyhow::anyhow!(message_of(&line))));
        }
        match entry {
            // Only the first error of an entry says why it failed.
            Some(id) if failed.last().is_none_or(|last| last.id != id) => {
                failed.push(FailedEntry { id, message: message_of(&line) });
            }
            Some(_) => {}
            None if line.contains(TOLERATED) => {}
            None => problem = Some(End::failed(None, &line)),
        }
        if failed.len() > MAX_FAILED_ENTRIES {
            let _ = child.start_kill();
            let _ = child.wait().await;
            let message = format!("more than {MAX_FAILED_ENTRIES} of its objects can't be created");
            return Err(RestoreError::Failed(message));
        }
    }
    let status = child.wait().await;
    if let Some(problem) = problem {
        problem.into_result()?;
    }
    match status {
        Ok(status) if status.success() || (is_complete && status.code() == Some(1)) => Ok(failed),
        Ok(_) => Err(RestoreError::from_program(failed.pop().map_or_else(|| message_of(""), |last| last.message))),
        Err(error) => Err(RestoreError::NotRun(error.into())),
    }
}

/// The lines of a program's standard error.
struct Lines {
    stderr: BufReader<ChildStderr>,
    line: Vec<u8>,
}

impl Lines {
    fn of(child: &mut Child) -> Result<Self, RestoreError> {
        let stderr = BufReader::new(child.stderr.take().ok_or_else(no_pipes)?);
        Ok(Self { stderr, line: Vec::new() })
    }

    /// Returns the next line. A read error ends the lines like the end of the output does.
    async fn next(&mut self) -> Option<String> {
        self.line.clear();
        let read = (&mut self.stderr).take(MAX_LINE_BYTES).read_until(b'\n', &mut self.line).await;
        matches!(read, Ok(1..)).then(|| String::from_utf8_lossy(&self.line).into_owned())
    }
}

/// Returns the id of the entry that a line names.
fn entry_id(line: &str) -> Option<u32> {
    line.strip_prefix("pg_restore: from TOC entry ")?.split_once(';')?.0.parse().ok()
}

/// Returns the errors in the text. An error that Postgres reported is reduced to Postgres's message.
fn message_of(text: &str) -> String {
    let message = safe_message(PROGRAM, text);
    match message.strip_prefix("could not execute query: ERROR:") {
        Some(message) => message.trim_start().to_owned(),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;
    use crate::db::{programs::clean_command, restore::program::start};

    const SETTING: &str = "echo 'pg_restore: error: could not execute query: ERROR:  unrecognized configuration \
        parameter \"transaction_timeout\"' >&2; echo 'Command was: SET transaction_timeout = 0;' >&2;";
    const INDEX: &str = "echo 'pg_restore: from TOC entry 31; 1259 16401 INDEX a_idx x' >&2; \
        echo 'pg_restore: error: could not execute query: ERROR:  could not create unique index' >&2; \
        echo 'DETAIL:  Key is duplicated.' >&2; echo 'Command was: CREATE UNIQUE INDEX a_idx' >&2;";
    const VIEW: &str = "echo 'pg_restore: from TOC entry 32; 0 16402 MATERIALIZED VIEW DATA b x' >&2; \
        echo 'pg_restore: error: could not execute query: ERROR:  division by zero' >&2;";
    const IGNORED: &str = "echo 'pg_restore: warning: errors ignored on restore: 2' >&2; exit 1";

    fn child(script: &str) -> Child {
        let mut command = clean_command(std::path::Path::new("/bin/sh"));
        command.args(["-c", script]);
        start(command, Stdio::null()).unwrap().0
    }

    #[tokio::test]
    async fn only_the_unknown_setting_may_fail() {
        let ending = async |script: &str| ended_tolerantly(&mut child(script)).await.unwrap();
        assert_eq!(ending(&format!("{SETTING} {SETTING} {IGNORED}")).await, End::Succeeded);
        assert_eq!(ending("exit 0").await, End::Succeeded);
        let end = ending(&format!("{SETTING} {INDEX} exec sleep 600")).await;
        assert_eq!(end, End::Failed { entry: Some(31), message: "could not create unique index".to_owned() });
        assert_ne!(ending("exit 1").await, End::Succeeded, "exit 1 without messages");
    }

    #[tokio::test]
    async fn failed_entry_is_named() {
        let end = ended(&mut child(&format!("{INDEX} exit 1"))).await.unwrap();
        assert_eq!(end, End::Failed { entry: Some(31), message: "could not create unique index".to_owned() });
        assert_eq!(ended(&mut child("exit 0")).await.unwrap(), End::Succeeded);
    }

    #[tokio::test]
    async fn full_disk_of_the_server_is_no_fault_of_the_archive() {
        let full = "echo 'pg_restore: error: COPY failed for table \"a\": ERROR:  could not extend file \"base/1/2\": \
            No space left on device' >&2; exit 1";
        let error = ended(&mut child(full)).await.unwrap().into_result().unwrap_err();
        assert!(matches!(error, RestoreError::DiskFull) && !error.is_of_content(), "{error}");
        let error = ended_leniently(&mut child(full)).await.unwrap_err();
        assert!(matches!(error, RestoreError::DiskFull), "{error}");
    }

    #[tokio::test]
    async fn lost_connection_is_no_fault_of_the_archive() {
        let script = |message: &str| format!("echo 'pg_restore: error: {message}' >&2; exit 1");
        for message in [
            "connection to server at \"10.1.2.3\", port 5432 failed: Connection refused",
            "could not execute query: FATAL:  terminating connection due to administrator command",
            "could not execute query: server closed the connection unexpectedly",
            "error returned by PQputCopyData: server closed the connection unexpectedly",
        ] {
            let script = script(message);
            let (end, tolerant) = (ended(&mut child(&script)).await, ended_tolerantly(&mut child(&script)).await);
            let lenient = ended_leniently(&mut child(&script)).await.map(drop);
            let in_entry = format!("echo 'pg_restore: from TOC entry 31; 1259 1 INDEX a x' >&2; ({script}); {IGNORED}");
            let lenient_in_entry = ended_leniently(&mut child(&in_entry)).await.map(drop);
            for result in [end.unwrap().into_result(), tolerant.unwrap().into_result(), lenient, lenient_in_entry] {
                let error = result.unwrap_err();
                assert!(matches!(error, RestoreError::Unreachable(_)), "{message}: {error}");
            }
        }
        // A function of the archive can raise an error with any text.
        let script = script("could not execute query: ERROR:  server closed the connection unexpectedly");
        let error = ended(&mut child(&script)).await.unwrap().into_result().unwrap_err();
        assert!(error.is_of_content(), "{error}");
    }

    #[tokio::test]
    async fn every_failed_entry_is_returned_if_the_program_continues_to_its_end() {
        let ending = async |script: &str| ended_leniently(&mut child(script)).await;
        let failed = ending(&format!("{SETTING} {INDEX} {VIEW} {IGNORED}")).await.unwrap();
        let failed: Vec<_> = failed.iter().map(|failed| (failed.id, failed.message.as_str())).collect();
        assert_eq!(failed, [(31, "could not create unique index"), (32, "division by zero")]);
        assert!(ending("exit 0").await.unwrap().is_empty());
        for script in [
            format!("{INDEX} exit 1"),
            format!("echo 'pg_restore: error: could not read from input file' >&2; {IGNORED}"),
            format!("{INDEX} kill -9 $$"),
        ] {
            assert!(matches!(ending(&script).await, Err(RestoreError::Failed(_))), "{script}");
        }
    }

    #[test]
    fn setting_is_tolerated_only_where_the_server_lacks_it() {
        assert_eq!([(15, 15), (17, 17), (18, 17)].map(|(own, server)| OnError::of(own, server)), [OnError::Exit; 3]);
        assert_eq!(OnError::of(17, 16), OnError::TolerateTimeoutSetting);
    }
}
