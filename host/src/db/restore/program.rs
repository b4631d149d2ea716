use std::{path::PathBuf, process::Stdio};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, Command},
};

use super::{RestoreError, archive_list::ListFile};
use crate::db::{
    ServerAddress,
    connect::Login,
    dump::{
        program::DumpProgram,
        stderr::{read_tail, safe_message},
    },
    programs::clean_command,
};

/// Maximum size of an archive's head, which contains the definition of every table, function and comment.
const MAX_HEAD_BYTES: usize = 64 << 20;
const PROGRAM: &str = "pg_restore";
/// The first version of Postgres that supports the setting `transaction_timeout`.
const TIMEOUT_SETTING_MAJOR: u32 = 17;
/// Maximum length of a line of messages. Longer lines are read in parts.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// An installed `pg_restore`.
pub(super) struct RestoreProgram {
    path: PathBuf,
    major: u32,
}

/// The first part of an archive, which had to be read to list its entries. Restoring reads it again.
pub(super) struct Head {
    chunks: Vec<Bytes>,
    /// The output of `pg_restore --list`.
    pub(super) list: String,
}

/// A part of an archive. The parts are restored one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// Types, functions, tables without their rows, views.
    PreData,
    /// Rows.
    Data,
    /// Indexes, constraints, triggers, contents of materialized views.
    PostData,
}

/// The purpose of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To count rows. Comments are left out.
    Verify,
    Restore,
}

/// The entries of an archive to restore.
pub(super) struct RestoreInput<'a> {
    pub(super) list: &'a ListFile,
    pub(super) head: &'a Head,
    pub(super) section: Section,
    pub(super) purpose: Purpose,
    /// Major version of the server.
    pub(super) server_major: u32,
}

impl RestoreProgram {
    /// Returns the `pg_restore` that is installed with a `pg_dump`.
    pub(super) fn beside(program: &DumpProgram) -> Self {
        Self { path: program.restore_program(), major: program.major }
    }

    /// Lists the archive's entries. Reads only as much of the archive as that needs.
    pub(super) async fn read_head<A>(&self, archive: &mut A) -> Result<Head, RestoreError>
    where
        A: Stream<Item = std::io::Result<Bytes>> + Unpin,
    {
        let mut command = clean_command(&self.path);
        command.arg("--list").env("LC_ALL", "C");
        let mut child = start(command, Stdio::piped())?;
        let stdin = child.stdin.take();
        let mut stdout = child.stdout.take().ok_or_else(no_pipes)?.take(MAX_HEAD_BYTES as u64);
        let feed = async move {
            let mut stdin = stdin;
            let (mut chunks, mut size) = (Vec::new(), 0);
            while let Some(pipe) = &mut stdin {
                let Some(chunk) = archive.next().await.transpose().map_err(RestoreError::Archive)? else { break };
                // `pg_restore` closes the pipe once it has read enough.
                if pipe.write_all(&chunk).await.is_err() {
                    stdin = None;
                }
                size += chunk.len();
                chunks.push(chunk);
                if size > MAX_HEAD_BYTES {
                    let message = format!("the list of its entries is longer than {} MiB", MAX_HEAD_BYTES >> 20);
                    return Err(RestoreError::Failed(message));
                }
            }
            Ok(chunks)
        };
        let listed = async {
            let mut list = Vec::new();
            stdout.read_to_end(&mut list).await.map_err(|error| RestoreError::NotRun(error.into()))?;
            Ok(String::from_utf8_lossy(&list).into_owned())
        };
        let (chunks, list, ()) = tokio::try_join!(feed, listed, ended(&mut child))?;
        Ok(Head { chunks, list })
    }

    /// Restores a section of the archive into the login's database. Only [`Section::Data`] needs the rest of the
    /// archive, which is read to its end even if restoring fails.
    pub(super) async fn restore<A>(
        &self,
        address: &ServerAddress,
        login: &Login,
        input: RestoreInput<'_>,
        rest: Option<&mut A>,
    ) -> Result<(), RestoreError>
    where
        A: Stream<Item = std::io::Result<Bytes>> + Unpin,
    {
        let application = match input.purpose {
            Purpose::Verify => "atlashub verify",
            Purpose::Restore => "atlashub restore",
        };
        let mut command =
            address.client_command(&self.path, self.major, login, application).map_err(RestoreError::NotRun)?;
        let on_error = OnError::of(self.major, input.server_major);
        if on_error == OnError::Exit {
            command.arg("--exit-on-error");
        }
        if input.purpose == Purpose::Verify {
            command.arg("--no-comments");
        }
        command
            .args(["--format=custom", "--no-owner", "--no-acl", "--no-password"])
            .args(["--no-publications", "--no-subscriptions", "--no-security-labels"])
            .arg(match input.section {
                Section::PreData => "--section=pre-data",
                Section::Data => "--section=data",
                Section::PostData => "--section=post-data",
            })
            .arg(format!("--use-list={}", input.list.path().display()))
            .arg(format!("--dbname={}", login.database))
            .env("PGOPTIONS", "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0");
        let mut child = start(command, Stdio::null())?;
        let stdin = child.stdin.take().ok_or_else(no_pipes)?;
        let ended = async {
            match on_error {
                OnError::Exit => ended(&mut child).await,
                OnError::TolerateTimeoutSetting => ended_tolerantly(&mut child).await,
            }
        };
        let (fed, ended) = tokio::join!(feed(stdin, input.head, rest), ended);
        fed?;
        ended
    }

    /// Returns the statements of the listed entries, which must have no rows.
    pub(super) async fn statements(&self, list: &ListFile, head: &Head) -> Result<String, RestoreError> {
        let mut command = clean_command(&self.path);
        command
            .args(["--format=custom", "--no-owner", "--file=-"])
            .arg(format!("--use-list={}", list.path().display()))
            .env("LC_ALL", "C");
        let mut child = start(command, Stdio::piped())?;
        let stdin = child.stdin.take().ok_or_else(no_pipes)?;
        let mut stdout = child.stdout.take().ok_or_else(no_pipes)?.take(MAX_HEAD_BYTES as u64);
        let mut text = Vec::new();
        let read = async { stdout.read_to_end(&mut text).await.map_err(|error| RestoreError::NotRun(error.into())) };
        let no_rest = None::<&mut stream::Empty<std::io::Result<Bytes>>>;
        tokio::try_join!(feed(stdin, head, no_rest), read, ended(&mut child))?;
        String::from_utf8(text).map_err(|_| RestoreError::Failed("its statements are not UTF-8".to_owned()))
    }
}

/// The consequence of a failed statement of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnError {
    Exit,
    /// `pg_restore` of version 17 or newer sets `transaction_timeout`, which older servers don't support. Only this
    /// statement may fail. `pg_restore` continues after every error, so its messages are checked.
    TolerateTimeoutSetting,
}

impl OnError {
    fn of(program_major: u32, server_major: u32) -> Self {
        match program_major >= TIMEOUT_SETTING_MAJOR && server_major < TIMEOUT_SETTING_MAJOR {
            true => Self::TolerateTimeoutSetting,
            false => Self::Exit,
        }
    }
}

/// Waits for the end of a program that continues after errors, and stops it at the first error that matters.
async fn ended_tolerantly(child: &mut Child) -> Result<(), RestoreError> {
    const TOLERATED: &str = "unrecognized configuration parameter \"transaction_timeout\"";
    let mut stderr = BufReader::new(child.stderr.take().ok_or_else(no_pipes)?);
    let (mut tolerated, mut line) = (0_u32, Vec::new());
    loop {
        line.clear();
        // A read error ends the loop like the end of the output does.
        if !matches!((&mut stderr).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await, Ok(1..)) {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        if !text.starts_with("pg_restore: error: ") {
            continue;
        }
        if !text.contains(TOLERATED) {
            let _ = child.start_kill();
            let _ = child.wait().await;
            return Err(RestoreError::Failed(safe_message(PROGRAM, &text)));
        }
        tolerated += 1;
    }
    match child.wait().await {
        Ok(status) if status.success() || (tolerated > 0 && status.code() == Some(1)) => Ok(()),
        Ok(_) => Err(RestoreError::Failed(safe_message(PROGRAM, ""))),
        Err(error) => Err(RestoreError::NotRun(error.into())),
    }
}

/// Writes the archive to `pg_restore`. Reads the archive to its end even if `pg_restore` stops reading.
async fn feed<A>(stdin: ChildStdin, head: &Head, rest: Option<&mut A>) -> Result<(), RestoreError>
where
    A: Stream<Item = std::io::Result<Bytes>> + Unpin,
{
    let mut stdin = Some(stdin);
    for chunk in &head.chunks {
        write(&mut stdin, chunk).await;
    }
    if let Some(archive) = rest {
        while let Some(chunk) = archive.next().await {
            write(&mut stdin, &chunk.map_err(RestoreError::Archive)?).await;
        }
    }
    Ok(())
}

async fn write(stdin: &mut Option<ChildStdin>, chunk: &[u8]) {
    if let Some(pipe) = stdin
        && pipe.write_all(chunk).await.is_err()
    {
        *stdin = None;
    }
}

/// Starts the program. The process is killed when the returned value is dropped.
fn start(command: std::process::Command, stdout: Stdio) -> Result<Child, RestoreError> {
    let mut command = Command::from(command);
    command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped());
    // A separate process group keeps Ctrl-C in a terminal from the child. This process stops the child itself.
    command.process_group(0).kill_on_drop(true);
    command.spawn().map_err(|error| RestoreError::NotRun(error.into()))
}

async fn ended(child: &mut Child) -> Result<(), RestoreError> {
    let stderr = child.stderr.take().ok_or_else(no_pipes)?;
    let (status, stderr) = tokio::join!(child.wait(), read_tail(stderr));
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            tracing::warn!(%status, "pg_restore failed; the run's error contains its messages");
            Err(RestoreError::Failed(safe_message(PROGRAM, &stderr)))
        }
        Err(error) => Err(RestoreError::NotRun(error.into())),
    }
}

fn no_pipes() -> RestoreError {
    RestoreError::NotRun(anyhow::anyhow!("its input or output is not piped"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ending(script: &str) -> Result<(), RestoreError> {
        let mut command = clean_command(std::path::Path::new("/bin/sh"));
        command.args(["-c", script]);
        ended_tolerantly(&mut start(command, Stdio::null()).unwrap()).await
    }

    #[tokio::test]
    async fn only_the_unknown_setting_may_fail() {
        const SETTING: &str = "echo 'pg_restore: error: could not execute query: ERROR:  unrecognized configuration \
            parameter \"transaction_timeout\"' >&2; echo 'Command was: SET transaction_timeout = 0;' >&2;";
        assert!(
            ending(&format!(
                "{SETTING} {SETTING} echo 'pg_restore: warning: errors ignored on restore: 2' >&2; exit 1"
            ))
            .await
            .is_ok()
        );
        assert!(ending("exit 0").await.is_ok());
        let other = "echo 'pg_restore: error: could not execute query: ERROR:  syntax error' >&2; exec sleep 600";
        let error = ending(&format!("{SETTING} {other}")).await.unwrap_err();
        assert!(error.to_string().contains("syntax error"), "{error}");
        assert!(ending("exit 1").await.is_err(), "an end without a reason");
    }

    #[test]
    fn setting_is_tolerated_only_where_the_server_lacks_it() {
        assert_eq!([(15, 15), (17, 17), (18, 17)].map(|(own, server)| OnError::of(own, server)), [OnError::Exit; 3]);
        assert_eq!(OnError::of(17, 16), OnError::TolerateTimeoutSetting);
    }
}
