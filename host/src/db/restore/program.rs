//! Starts `pg_restore`, and gives it the head and the rest of an archive.

use std::{
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
    path::PathBuf,
    process::Stdio,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    process::{Child, Command},
};

use super::{
    RestoreError,
    archive_list::ListFile,
    failed_objects,
    program_end::{End, FailedEntry, OnError, ended, ended_leniently, ended_tolerantly},
};
use crate::db::{ServerAddress, connect::Login, dump::program::DumpProgram, programs::clean_command};

/// Maximum size of an archive's head, which contains the definition of every table, function and comment.
const MAX_HEAD_BYTES: usize = 64 << 20;

/// Session options: no timeouts, and no wait for the disk at each commit. A database that is half loaded is dropped,
/// and the commit that puts a loaded one into use waits for everything before it.
const OPTIONS: &str = "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 \
     -c synchronous_commit=off";

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
        let (mut child, stdin) = start(command, Stdio::piped())?;
        let mut stdout = child.stdout.take().ok_or_else(no_pipes)?.take(MAX_HEAD_BYTES as u64);
        let feed = async move {
            let mut stdin = Some(stdin);
            let (mut chunks, mut size) = (Vec::new(), 0);
            while let Some(socket) = &mut stdin {
                let Some(chunk) = archive.next().await.transpose().map_err(RestoreError::Archive)? else { break };
                // `pg_restore` closes its input once it has read enough.
                if socket.write_all(&chunk).await.is_err() {
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
        let (chunks, list, end) = tokio::try_join!(feed, listed, ended(&mut child))?;
        end.into_result()?;
        Ok(Head { chunks, list })
    }

    /// Restores a section of the archive into the login's database. Only [`Section::Data`] needs the rest of the
    /// archive, which is read completely even if restoring fails.
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
        let mut command = self.command(address, login, &input)?;
        let on_error = OnError::of(self.major, input.server_major);
        if on_error == OnError::Exit {
            command.arg("--exit-on-error");
        }
        let (mut child, stdin) = start(command, Stdio::null())?;
        let ended = async {
            match on_error {
                OnError::Exit => ended(&mut child).await,
                OnError::TolerateTimeoutSetting => ended_tolerantly(&mut child).await,
            }
        };
        let (fed, ended) = tokio::join!(feed(stdin, input.head, rest), ended);
        fed?;
        match ended? {
            End::Failed { entry: Some(id), message } if input.section == Section::PostData => {
                match failed_objects::find(&input.head.list, id).filter(|object| object.can_be_left_out) {
                    Some(object) => match RestoreError::from_program(message) {
                        RestoreError::Failed(message) => {
                            Err(RestoreError::FailedObject { object: object.name, message })
                        }
                        error => Err(error),
                    },
                    None => Err(RestoreError::from_program(message)),
                }
            }
            end => end.into_result(),
        }
    }

    /// Restores the entries that follow the rows, and continues after errors. Returns the entries that failed.
    pub(super) async fn restore_leniently(
        &self,
        address: &ServerAddress,
        login: &Login,
        input: RestoreInput<'_>,
    ) -> Result<Vec<FailedEntry>, RestoreError> {
        let (mut child, stdin) = start(self.command(address, login, &input)?, Stdio::null())?;
        let no_rest = None::<&mut stream::Empty<std::io::Result<Bytes>>>;
        let (fed, ended) = tokio::join!(feed(stdin, input.head, no_rest), ended_leniently(&mut child));
        fed?;
        ended
    }

    fn command(
        &self,
        address: &ServerAddress,
        login: &Login,
        input: &RestoreInput<'_>,
    ) -> Result<std::process::Command, RestoreError> {
        let application = match input.purpose {
            Purpose::Verify => "atlashub verify",
            Purpose::Restore => "atlashub restore",
        };
        let mut command =
            address.client_command(&self.path, self.major, login, application).map_err(RestoreError::NotRun)?;
        if input.purpose == Purpose::Verify {
            command.arg("--no-comments");
        }
        if input.section == Section::PostData {
            // Without this, `pg_restore` doesn't print which entry failed.
            command.arg("--verbose");
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
            .env("PGOPTIONS", OPTIONS);
        Ok(command)
    }

    /// Returns the statements of the listed entries, which must have no rows.
    pub(super) async fn statements(&self, list: &ListFile, head: &Head) -> Result<String, RestoreError> {
        let mut command = clean_command(&self.path);
        command
            .args(["--format=custom", "--no-owner", "--file=-"])
            .arg(format!("--use-list={}", list.path().display()))
            .env("LC_ALL", "C");
        let (mut child, stdin) = start(command, Stdio::piped())?;
        let mut stdout = child.stdout.take().ok_or_else(no_pipes)?.take(MAX_HEAD_BYTES as u64);
        let mut text = Vec::new();
        let read = async {
            stdout.read_to_end(&mut text).await.map_err(|error| RestoreError::NotRun(error.into()))?;
            // Without this check, `pg_restore` would wait for ever, because nothing reads the rest of its output.
            match text.len() {
                MAX_HEAD_BYTES => Err(RestoreError::Failed("its policies and grants are too large".to_owned())),
                _ => Ok(()),
            }
        };
        let no_rest = None::<&mut stream::Empty<std::io::Result<Bytes>>>;
        let ((), _, end) = tokio::try_join!(feed(stdin, head, no_rest), read, ended(&mut child))?;
        end.into_result()?;
        String::from_utf8(text).map_err(|_| RestoreError::Failed("its statements are not UTF-8".to_owned()))
    }
}

/// Writes the archive to `pg_restore`. Reads the whole archive even if `pg_restore` stops reading.
async fn feed<A>(stdin: UnixStream, head: &Head, rest: Option<&mut A>) -> Result<(), RestoreError>
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

async fn write(stdin: &mut Option<UnixStream>, chunk: &[u8]) {
    if let Some(socket) = stdin
        && socket.write_all(chunk).await.is_err()
    {
        *stdin = None;
    }
}

/// Starts the program. Returns the process, which is killed when it is dropped, and its input.
///
/// The input is a socket, because a full pipe wakes its writer for every 4 KiB that the program reads. A socket wakes
/// its writer when three quarters of its buffer are free.
pub(super) fn start(command: std::process::Command, stdout: Stdio) -> Result<(Child, UnixStream), RestoreError> {
    let not_run = |error: std::io::Error| RestoreError::NotRun(error.into());
    let (input, stdin) = StdUnixStream::pair().map_err(not_run)?;
    input.set_nonblocking(true).map_err(not_run)?;
    let input = UnixStream::from_std(input).map_err(not_run)?;
    let mut command = Command::from(command);
    command.stdin(OwnedFd::from(stdin)).stdout(stdout).stderr(Stdio::piped());
    // A separate process group keeps Ctrl-C in a terminal from the child. This process stops the child itself.
    command.process_group(0).kill_on_drop(true);
    Ok((command.spawn().map_err(not_run)?, input))
}

pub(super) fn no_pipes() -> RestoreError {
    RestoreError::NotRun(anyhow::anyhow!("its input or output is not piped"))
}
