use std::{path::PathBuf, process::Stdio};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, Command},
};

use super::{RestoreError, contents::ListFile};
use crate::db::{
    ServerAddress,
    connect::Login,
    dump::{
        complaint::{read_tail, safe_message},
        program::DumpProgram,
    },
    programs::clean_command,
};

/// The head of an archive names every table, function and comment of a database; this is very many of them.
const LARGEST_HEAD: usize = 64 << 20;
const PROGRAM: &str = "pg_restore";

/// A `pg_restore`.
pub(super) struct RestoreProgram {
    path: PathBuf,
    major: u32,
}

/// What was read of an archive to know what it holds, to be read again when it is restored.
pub(super) struct Head {
    chunks: Vec<Bytes>,
    /// As `pg_restore --list` prints it.
    pub(super) list: String,
}

impl RestoreProgram {
    pub(super) fn beside(program: &DumpProgram) -> Self {
        Self { path: program.restore_program(), major: program.major }
    }

    /// Reads as much of the archive as the list of its contents takes.
    pub(super) async fn list<A>(&self, archive: &mut A) -> Result<Head, RestoreError>
    where
        A: Stream<Item = std::io::Result<Bytes>> + Unpin,
    {
        let mut command = clean_command(&self.path);
        command.arg("--list").env("LC_ALL", "C");
        let mut child = start(command, Stdio::piped())?;
        let stdin = child.stdin.take();
        let mut stdout = child.stdout.take().ok_or_else(no_pipes)?.take(LARGEST_HEAD as u64);
        let feed = async move {
            let mut stdin = stdin;
            let (mut chunks, mut size) = (Vec::new(), 0);
            while let Some(pipe) = &mut stdin {
                let Some(chunk) = archive.next().await.transpose().map_err(RestoreError::Archive)? else { break };
                // A pipe that is closed at the other end: it has read what it needs.
                if pipe.write_all(&chunk).await.is_err() {
                    stdin = None;
                }
                size += chunk.len();
                chunks.push(chunk);
                if size > LARGEST_HEAD {
                    let message = format!("the list of its contents is longer than {} MiB", LARGEST_HEAD >> 20);
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

    /// Restores the archive, and reads it to its end in any case.
    pub(super) async fn restore<A>(
        &self,
        address: &ServerAddress,
        login: &Login,
        list: &ListFile,
        head: Head,
        archive: &mut A,
    ) -> Result<(), RestoreError>
    where
        A: Stream<Item = std::io::Result<Bytes>> + Unpin,
    {
        let mut command =
            address.client_command(&self.path, self.major, login, "atlashub verify").map_err(RestoreError::NotRun)?;
        command
            .args(["--format=custom", "--no-owner", "--no-acl", "--exit-on-error", "--no-password"])
            .args(["--no-comments", "--no-publications", "--no-subscriptions", "--no-security-labels"])
            .arg(format!("--use-list={}", list.path().display()))
            .arg(format!("--dbname={}", login.database))
            .env("PGOPTIONS", "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0");
        let mut child = start(command, Stdio::null())?;
        let stdin = child.stdin.take().ok_or_else(no_pipes)?;
        let (fed, ended) = tokio::join!(feed(stdin, head, archive), ended(&mut child));
        fed?;
        ended
    }
}

/// What `pg_restore` doesn't want to read is read all the same.
async fn feed<A>(stdin: ChildStdin, head: Head, archive: &mut A) -> Result<(), RestoreError>
where
    A: Stream<Item = std::io::Result<Bytes>> + Unpin,
{
    let mut stdin = Some(stdin);
    for chunk in head.chunks {
        write(&mut stdin, &chunk).await;
    }
    while let Some(chunk) = archive.next().await {
        write(&mut stdin, &chunk.map_err(RestoreError::Archive)?).await;
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

/// Killed when dropped.
fn start(command: std::process::Command, stdout: Stdio) -> Result<Child, RestoreError> {
    let mut command = Command::from(command);
    command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped());
    // Ctrl-C in a terminal reaches us alone; we end it in order.
    command.process_group(0).kill_on_drop(true);
    command.spawn().map_err(|error| RestoreError::NotRun(error.into()))
}

async fn ended(child: &mut Child) -> Result<(), RestoreError> {
    let stderr = child.stderr.take().ok_or_else(no_pipes)?;
    let (status, complaint) = tokio::join!(child.wait(), read_tail(stderr));
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            tracing::warn!(%status, complaint, "pg_restore failed");
            Err(RestoreError::Failed(safe_message(PROGRAM, &complaint)))
        }
        Err(error) => Err(RestoreError::NotRun(error.into())),
    }
}

fn no_pipes() -> RestoreError {
    RestoreError::NotRun(anyhow::anyhow!("it has no pipes"))
}
