//! Starts dumps, watches over them, and reports their outcome.

use std::{
    any::Any,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::FutureExt as _;
use tokio::{
    process::{Child, ChildStderr},
    sync::oneshot,
};

use super::{
    DumpBytes, DumpError, DumpOptions, ReadingCheck, UnqualifiedFunction,
    program::DumpPrograms,
    snapshot::{self, Snapshot, TableRows},
    stderr::read_tail,
};
use crate::{
    config::Secret,
    db::{Credentials, DatabaseName, DbRole, ExclusiveClient, ServerAddress, connect::Login},
};

/// Dumps the platform database and projects' databases. Cheap to clone.
#[derive(Clone)]
pub struct Dumper(Arc<Inner>);

struct Inner {
    address: ServerAddress,
    platform: Login,
    credentials: Arc<dyn Credentials>,
    programs: DumpPrograms,
}

/// A running dump. Dropping either field stops it.
pub struct Dump {
    pub bytes: DumpBytes,
    pub outcome: DumpOutcome,
}

/// A future for the result of a dump. It completes when `pg_dump` has exited, the bytes were read completely and the
/// rows are counted, or at the first failure.
pub struct DumpOutcome {
    receiver: oneshot::Receiver<Result<DumpInfo, DumpError>>,
    unqualified: Vec<UnqualifiedFunction>,
    reading_checks: Vec<ReadingCheck>,
}

/// The properties of a complete dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpInfo {
    /// Version of the Postgres server, for example `15.14`.
    pub server_version: String,
    /// Version of `pg_dump`, for example `15.14`.
    pub dump_version: String,
    /// Size of the dump.
    pub size_bytes: u64,
    /// Number of rows of every table in the dumped snapshot, sorted by schema and name.
    pub tables: Vec<TableRows>,
}

impl Dumper {
    /// Creates a dumper for the server of the platform database, whose URL is `database_url`. `program_folder` is
    /// searched for `pg_dump` in addition to the usual folders, and preferred among programs of the same version.
    ///
    /// # Errors
    /// Fails if the URL is invalid, or if its root certificates can't be loaded.
    pub fn new(
        database_url: &Secret,
        credentials: Arc<dyn Credentials>,
        program_folder: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        Ok(Self(Arc::new(Inner {
            address: ServerAddress::from_url(database_url.expose())?,
            platform: Login::from_url(database_url)?,
            credentials,
            programs: DumpPrograms::new(program_folder),
        })))
    }

    /// Starts a dump. A project's database is dumped as its `_backup` role, which bypasses row-level security even
    /// where it is forced. The platform database is dumped as the platform's role. `permit` is dropped when the dump's
    /// process and connections are gone.
    ///
    /// # Errors
    /// Fails if the problem is known before the first byte, for example because `pg_dump` or the database is missing,
    /// or because a table is locked. [`DumpOutcome`] reports later problems.
    pub async fn dump(
        &self,
        database: &DatabaseName,
        options: DumpOptions,
        permit: Box<dyn Any + Send>,
    ) -> Result<Dump, DumpError> {
        let (login, client) = self.log_in(database, DbRole::Backup).await?;
        let mut snapshot = Snapshot::open(client).await?;
        let unqualified = std::mem::take(&mut snapshot.unqualified);
        let reading_checks = std::mem::take(&mut snapshot.reading_checks);
        let program = self.0.programs.find(snapshot.server_major).await?;
        let mut child = program.start(&self.0.address, &login, &snapshot.id, &options)?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(DumpError::NotRun(anyhow::anyhow!("its output is not piped")));
        };
        let (bytes, drained) = DumpBytes::new(stdout);
        let (sender, outcome) = oneshot::channel();
        let running = Running { child, stderr, snapshot, drained, dump_version: program.version, _permit: permit };
        tokio::spawn(supervise(running, sender));
        Ok(Dump { bytes, outcome: DumpOutcome { receiver: outcome, unqualified, reading_checks } })
    }

    /// Opens a connection as the role that dumps the database.
    ///
    /// # Errors
    /// Fails if the database is missing or can't be reached, or if Postgres rejects the login.
    pub async fn connect(&self, database: &DatabaseName) -> Result<ExclusiveClient, DumpError> {
        self.connect_as(database, DbRole::Backup).await
    }

    /// Opens a connection as a role of the project. A connection to the platform database always uses the platform's
    /// role. The session has the settings of a dump: no timeouts except for locks, an empty `search_path`, and an error
    /// for a policy that would hide rows.
    ///
    /// # Errors
    /// Fails if the database is missing or can't be reached, or if Postgres rejects the login.
    pub async fn connect_as(&self, database: &DatabaseName, role: DbRole) -> Result<ExclusiveClient, DumpError> {
        Ok(self.log_in(database, role).await?.1)
    }

    async fn log_in(&self, database: &DatabaseName, role: DbRole) -> Result<(Login, ExclusiveClient), DumpError> {
        let Inner { address, platform, credentials, .. } = &*self.0;
        let DatabaseName::Project(project) = database else {
            let client = snapshot::connect(address, platform).await?;
            return Ok((platform.clone(), client));
        };
        let password = credentials.password(project, role).await?;
        let login = Login::for_project(project, role, &password);
        match snapshot::connect(address, &login).await {
            Ok(client) => Ok((login, client)),
            Err(error) if error.is_refused() => {
                // Any role can change its own password.
                tracing::warn!(project, role = role.suffix(), "a login was refused; resetting the role's password");
                credentials.reset(project, role).await?;
                let client = snapshot::connect(address, &login).await?;
                Ok((login, client))
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl DumpOutcome {
    /// Returns the functions that a plain `pg_restore` can't call while it loads the dump. The owner should change
    /// them.
    pub fn unqualified(&self) -> &[UnqualifiedFunction] {
        &self.unqualified
    }

    /// Returns the check constraints that can stop a plain `pg_restore`. The owner should change them.
    pub fn reading_checks(&self) -> &[ReadingCheck] {
        &self.reading_checks
    }
}

impl Future for DumpOutcome {
    type Output = Result<DumpInfo, DumpError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // The channel closes without a result if the task ends with the process.
        self.receiver.poll_unpin(cx).map(|outcome| outcome.unwrap_or(Err(DumpError::Abandoned)))
    }
}

struct Running {
    child: Child,
    stderr: ChildStderr,
    snapshot: Snapshot,
    /// Receives the size of the dump once it was read completely.
    drained: oneshot::Receiver<u64>,
    dump_version: String,
    /// Dropped last.
    _permit: Box<dyn Any + Send>,
}

/// Waits for the end of the dump and sends its outcome. Kills `pg_dump` on the first failure, and when the receiver is
/// dropped.
async fn supervise(mut running: Running, mut sender: oneshot::Sender<Result<DumpInfo, DumpError>>) {
    let outcome = tokio::select! {
        outcome = finish(&mut running) => outcome,
        () = sender.closed() => Err(DumpError::Abandoned),
    };
    if outcome.is_err() {
        // Killing fails if the process has already exited. Waiting for it avoids a zombie.
        let _ = running.child.start_kill();
        let _ = running.child.wait().await;
    }
    // Sending fails if the receiver was dropped.
    let _ = sender.send(outcome);
}

async fn finish(running: &mut Running) -> Result<DumpInfo, DumpError> {
    let Running { child, stderr, snapshot, drained, dump_version, _permit: _ } = running;
    let server_version = snapshot.server_version.clone();
    let ended = async {
        let (status, stderr) = tokio::join!(child.wait(), read_tail(stderr));
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => {
                tracing::warn!(%status, "pg_dump failed; the run's error contains its messages");
                Err(DumpError::from_program(&stderr))
            }
            Err(error) => Err(DumpError::NotRun(error.into())),
        }
    };
    let drained = async { drained.await.map_err(|_| DumpError::Abandoned) };
    let ((), size_bytes, tables) = tokio::try_join!(ended, drained, snapshot.count())?;
    Ok(DumpInfo { server_version, dump_version: dump_version.clone(), size_bytes, tables })
}
