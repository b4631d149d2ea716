use std::{path::PathBuf, process::Stdio};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
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

/// The entries of an archive to restore.
pub(super) struct RestoreInput<'a> {
    pub(super) list: &'a ListFile,
    pub(super) head: &'a Head,
    pub(super) section: Section,
}

impl RestoreProgram {
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
        let mut command =
            address.client_command(&self.path, self.major, login, "atlashub verify").map_err(RestoreError::NotRun)?;
        command
            .args(["--format=custom", "--no-owner", "--no-acl", "--exit-on-error", "--no-password"])
            .args(["--no-comments", "--no-publications", "--no-subscriptions", "--no-security-labels"])
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
        let (fed, ended) = tokio::join!(feed(stdin, input.head, rest), ended(&mut child));
        fed?;
        ended
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
    // Keeps Ctrl-C in a terminal from reaching the child, because this process stops the child itself.
    command.process_group(0).kill_on_drop(true);
    command.spawn().map_err(|error| RestoreError::NotRun(error.into()))
}

async fn ended(child: &mut Child) -> Result<(), RestoreError> {
    let stderr = child.stderr.take().ok_or_else(no_pipes)?;
    let (status, stderr) = tokio::join!(child.wait(), read_tail(stderr));
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            tracing::warn!(%status, "pg_restore failed; the verification's result has its messages");
            Err(RestoreError::Failed(safe_message(PROGRAM, &stderr)))
        }
        Err(error) => Err(RestoreError::NotRun(error.into())),
    }
}

fn no_pipes() -> RestoreError {
    RestoreError::NotRun(anyhow::anyhow!("its input or output is not piped"))
}
