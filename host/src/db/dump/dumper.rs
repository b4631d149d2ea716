use std::{
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
    DumpBytes, DumpError,
    complaint::{read_tail, safe_message},
    program::DumpPrograms,
    snapshot::{self, Snapshot, TableRows},
};
use crate::{
    config::Secret,
    db::{Credentials, DatabaseName, DbRole, ServerAddress, connect::Login, pools},
};

/// Dumps the platform's database and projects' databases. Cheap to clone.
#[derive(Clone)]
pub struct Dumper(Arc<Inner>);

struct Inner {
    address: ServerAddress,
    platform: Login,
    credentials: Arc<dyn Credentials>,
    programs: DumpPrograms,
}

/// How to dump.
#[derive(Debug, Clone, Copy, Default)]
pub struct DumpOptions {
    /// 0 to 9; none for `pg_dump`'s default.
    pub compression: Option<u8>,
}

/// A dump under way. Dropping one half of it ends it.
pub struct Dump {
    pub bytes: DumpBytes,
    pub outcome: DumpOutcome,
}

/// How a dump ends: known when `pg_dump` ended, the bytes were read to their end and the rows are counted.
pub struct DumpOutcome(oneshot::Receiver<Result<DumpInfo, DumpError>>);

/// What is known once a dump has ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpInfo {
    /// For example `15.14`.
    pub server_version: String,
    /// For example `15.14`.
    pub dump_version: String,
    /// Of the archive.
    pub size_bytes: u64,
    /// By schema and name, from the snapshot that was dumped.
    pub tables: Vec<TableRows>,
}

impl Dumper {
    /// `database_url` is the platform database's; projects' databases are on the same server. `program_folder` is
    /// looked into for `pg_dump` before the usual places.
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

    /// Begins a dump. A project's is made as its `_backup` role, which sees past row-level security, also where it is
    /// forced; the platform's as the platform's own.
    ///
    /// # Errors
    /// What can be known before the first byte: no `pg_dump`, no database, a table that can't be read.
    pub async fn dump(&self, database: &DatabaseName, options: DumpOptions) -> Result<Dump, DumpError> {
        let (login, client) = self.log_in(database).await?;
        let snapshot = Snapshot::open(client).await?;
        let program = self.0.programs.find(snapshot.server_major).await?;
        let mut child = program.start(&self.0.address, &login, &snapshot.id, &options)?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(DumpError::NotRun(anyhow::anyhow!("it has no output")));
        };
        let (bytes, drained) = DumpBytes::new(stdout);
        let (tell, outcome) = oneshot::channel();
        tokio::spawn(watch(Running { child, stderr, snapshot, drained, dump_version: program.version }, tell));
        Ok(Dump { bytes, outcome: DumpOutcome(outcome) })
    }

    async fn log_in(&self, database: &DatabaseName) -> Result<(Login, crate::db::ExclusiveClient), DumpError> {
        let Inner { address, platform, credentials, .. } = &*self.0;
        let DatabaseName::Project(project) = database else {
            let client = snapshot::connect(address, platform).await.map_err(DumpError::from_postgres)?;
            return Ok((platform.clone(), client));
        };
        let login = Login::of_project(project, DbRole::Backup, &credentials.password(project, DbRole::Backup).await?);
        match snapshot::connect(address, &login).await {
            Ok(client) => Ok((login, client)),
            Err(error) if pools::refused(&error) => {
                // Any role can change its own password from inside.
                tracing::warn!(project, role = "backup", "a login was refused; setting the role's password back");
                credentials.reset(project, DbRole::Backup).await?;
                let client = snapshot::connect(address, &login).await.map_err(DumpError::from_postgres)?;
                Ok((login, client))
            }
            Err(error) => Err(DumpError::from_postgres(error)),
        }
    }
}

impl Future for DumpOutcome {
    type Output = Result<DumpInfo, DumpError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Without an answer the task was ended with the process.
        self.0.poll_unpin(cx).map(|outcome| outcome.unwrap_or(Err(DumpError::Abandoned)))
    }
}

struct Running {
    child: Child,
    stderr: ChildStderr,
    snapshot: Snapshot,
    drained: oneshot::Receiver<u64>,
    dump_version: String,
}

/// Waits for all that makes a dump good. At the first thing that doesn't, and when nobody wants it any more, `pg_dump` is
/// killed.
async fn watch(mut running: Running, mut tell: oneshot::Sender<Result<DumpInfo, DumpError>>) {
    let outcome = tokio::select! {
        outcome = finish(&mut running) => outcome,
        () = tell.closed() => Err(DumpError::Abandoned),
    };
    if outcome.is_err() {
        // Fails where it has ended by itself. Waiting for it leaves no zombie.
        let _ = running.child.start_kill();
        let _ = running.child.wait().await;
    }
    // Nobody to tell is no failure.
    let _ = tell.send(outcome);
}

async fn finish(running: &mut Running) -> Result<DumpInfo, DumpError> {
    let Running { child, stderr, snapshot, drained, dump_version } = running;
    let server_version = snapshot.server_version.clone();
    let ended = async {
        let (status, complaint) = tokio::join!(child.wait(), read_tail(stderr));
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => {
                tracing::warn!(%status, complaint, "pg_dump failed");
                Err(DumpError::Failed(safe_message("pg_dump", &complaint)))
            }
            Err(error) => Err(DumpError::NotRun(error.into())),
        }
    };
    let drained = async { drained.await.map_err(|_| DumpError::Abandoned) };
    let ((), size_bytes, tables) = tokio::try_join!(ended, drained, snapshot.count())?;
    Ok(DumpInfo { server_version, dump_version: dump_version.clone(), size_bytes, tables })
}
