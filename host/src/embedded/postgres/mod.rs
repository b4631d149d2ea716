//! A private Postgres on loopback: found or downloaded, made once, run as a child of this process.
//!
//! Everything is durable (`fsync` on, data checksums, fast shutdown); a server that survived us is shut down
//! before the next one starts. Not in here: what is kept in the databases.

mod account;
pub mod binaries;
mod cluster;
mod download;
pub mod launch;
mod leftover;
mod log;
mod server;

use std::{
    ffi::OsString,
    path::PathBuf,
    time::{Duration, Instant},
};

use tokio_postgres::{NoTls, error::SqlState};

use super::{EmbeddedError, data_folder::DataFolder};
use crate::config::Secret;
use cluster::Port;
use server::{Server, ServerCommand, ServerState};

/// Role that the platform connects as.
pub const SUPERUSER: &str = "atlashub";
/// The platform's own database.
pub const PLATFORM_DATABASE: &str = "platform";

/// Crash recovery of much unwritten work takes long on a small machine; the log says how far it is.
const LONGEST_START: Duration = Duration::from_secs(600);

/// How to run it.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// Folder of the programs; none to look in the usual places.
    pub bin_dir: Option<PathBuf>,
    /// None for a free port that is kept over restarts.
    pub port: Option<u16>,
    /// The superuser's; it must be the one that the cluster was made with.
    pub password: Secret,
    pub max_connections: u32,
    /// The `atlashub` program, which ties the server's life to ours (Linux); without it a `kill -9` of this
    /// process leaves the server running until the next start.
    pub launcher: Option<PathBuf>,
    /// Further server settings, `name=value`, over our own.
    pub settings: Vec<String>,
}

impl PostgresSettings {
    /// Looked for in the usual places, on a free port.
    pub fn new(password: Secret) -> Self {
        Self { bin_dir: None, port: None, password, max_connections: 120, launcher: None, settings: Vec::new() }
    }
}

/// A server that answers. Dropping it asks it to stop and does not wait: call [`Postgres::stop`].
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    port: u16,
    password: Secret,
    bin_dir: PathBuf,
}

impl Postgres {
    /// Starts the server on the data folder, which the caller has locked, and makes the platform's database.
    /// Ready to connect to when it returns.
    ///
    /// # Errors
    /// One line each: no programs, a folder that Postgres's user can't reach, a port that is taken, a server
    /// that ends before it answers.
    pub async fn start(data_folder: &DataFolder, settings: PostgresSettings) -> Result<Self, EmbeddedError> {
        let cluster = cluster::folder(data_folder);
        let account = account::choose(&cluster)?;
        let major = cluster::major(&cluster)?;
        let binaries = match binaries::find(settings.bin_dir.as_deref(), major)? {
            Some(binaries) => binaries,
            None => download::fetch(&data_folder.join("postgres-programs"), major).await?,
        };
        if let Some(account) = &account {
            account.check_reach(&cluster, data_folder.path())?;
            account.check_reach(&binaries.program("postgres"), data_folder.path())?;
        }
        if major.is_none() {
            tracing::info!(%binaries, "making the embedded Postgres's cluster");
            cluster::create(data_folder, &binaries, account.as_ref(), &settings.password)?;
        }
        leftover::clear(&cluster).await?;

        let log = log_file(data_folder);
        loop {
            let port = cluster::choose_port(data_folder, settings.port)?;
            let command = ServerCommand {
                postgres: binaries.program("postgres"),
                arguments: arguments(&cluster, port, &settings),
                account: account.clone(),
                launcher: settings.launcher.clone(),
                log: log.clone(),
                pid_file: cluster.join("postmaster.pid"),
            };
            let not_started = |reason: String| EmbeddedError::NotStarted { reason, log: log.clone() };
            let server = Server::spawn(command).map_err(|error| not_started(error.to_string()))?;
            let postgres = Self {
                server,
                port: port.number(),
                password: settings.password.clone(),
                bin_dir: binaries.folder.clone(),
            };
            match postgres.wait_until_ready().await {
                Ok(()) => {
                    postgres.create_platform_database().await.map_err(|error| {
                        not_started(format!("its database `{PLATFORM_DATABASE}` could not be made: {}", plain(&error)))
                    })?;
                    postgres.server.keep_running();
                    tracing::info!(port = postgres.port, %binaries, "the embedded Postgres is ready");
                    return Ok(postgres);
                }
                // Somebody took the port between our look and the server's.
                Err(reason)
                    if matches!(port, Port::Chosen(_)) && reason.contains("could not create any TCP/IP sockets") => {}
                Err(reason) => return Err(not_started(reason)),
            }
        }
    }

    /// URL of a database of this server, for the platform's own role.
    pub fn url(&self, database: &str) -> Secret {
        url(&self.password, self.port, database)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Folder of the programs it runs from, which has `pg_dump` too where it was installed with them.
    pub fn bin_dir(&self) -> &std::path::Path {
        &self.bin_dir
    }

    /// Shuts down in order and waits for the end.
    pub async fn stop(mut self) {
        self.server.stop().await;
        tracing::info!("the embedded Postgres has stopped");
    }

    async fn wait_until_ready(&self) -> Result<(), String> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(20);
        let mut next_word = Duration::from_secs(10);
        loop {
            if let ServerState::Exited(reason) = self.server.state() {
                let complaint = self.server.complaint();
                return Err(if complaint.is_empty() { reason } else { format!("{reason}: {complaint}") });
            }
            match self.connect("postgres").await {
                Ok(_) => return Ok(()),
                Err(error) if error.code() == Some(&SqlState::INVALID_PASSWORD) => {
                    return Err(
                        "secrets/postgres-password in the data folder is not the password that the cluster was \
                                made with; put the old file back"
                            .to_owned(),
                    );
                }
                Err(error) if started.elapsed() > LONGEST_START => return Err(plain(&error)),
                Err(error) if started.elapsed() > next_word => {
                    tracing::info!(waiting_for = %plain(&error), "the embedded Postgres is still starting");
                    next_word += Duration::from_secs(10);
                }
                Err(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    async fn connect(&self, database: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::Config::new()
            .host("127.0.0.1")
            .port(self.port)
            .user(SUPERUSER)
            .password(self.password.expose())
            .dbname(database)
            .connect_timeout(Duration::from_secs(5))
            .ssl_mode(tokio_postgres::config::SslMode::Disable)
            .connect(NoTls)
            .await?;
        // Ends with the client.
        tokio::spawn(connection);
        Ok(client)
    }

    async fn create_platform_database(&self) -> Result<(), tokio_postgres::Error> {
        let client = self.connect("postgres").await?;
        let exists = client.query_opt("SELECT FROM pg_database WHERE datname = $1", &[&PLATFORM_DATABASE]).await?;
        if exists.is_none() {
            client.batch_execute("CREATE DATABASE platform").await?;
        }
        // Projects' roles are roles of the whole server: without this they could connect to all three.
        client.batch_execute("REVOKE CONNECT, TEMPORARY ON DATABASE platform, postgres, template1 FROM PUBLIC").await
    }
}

/// URL of a database of the server that another process runs on the data folder.
pub fn url_of_running(data_folder: &DataFolder, password: &Secret, database: &str) -> Option<Secret> {
    cluster::remembered_port(data_folder).map(|port| url(password, port, database))
}

/// The server's own log.
pub fn log_file(data_folder: &DataFolder) -> PathBuf {
    data_folder.join("postgres.log")
}

fn url(password: &Secret, port: u16, database: &str) -> Secret {
    Secret::new(format!("postgres://{SUPERUSER}:{}@127.0.0.1:{port}/{database}?sslmode=disable", password.expose()))
}

fn plain(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => error.message().to_owned(),
        None => error.to_string(),
    }
}

fn arguments(cluster: &std::path::Path, port: Port, settings: &PostgresSettings) -> Vec<OsString> {
    let ours = [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={}", port.number()),
        "unix_socket_directories=".to_owned(),
        format!("max_connections={}", settings.max_connections),
        "fsync=on".to_owned(),
        "full_page_writes=on".to_owned(),
        "password_encryption=scram-sha-256".to_owned(),
        // Modest: the machine may be a Raspberry Pi that does other things too.
        "shared_buffers=128MB".to_owned(),
        // Compiling a plan costs more than it gains on the short statements of an API.
        "jit=off".to_owned(),
        "shared_preload_libraries=".to_owned(),
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
        "lc_messages=C".to_owned(),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
        // A statement and an error's detail carry values, which belong in no log.
        "log_statement=none".to_owned(),
        "log_min_error_statement=panic".to_owned(),
        "log_error_verbosity=terse".to_owned(),
    ];
    let mut arguments = vec![OsString::from("-D"), cluster.into()];
    for setting in ours.into_iter().chain(settings.settings.iter().cloned()) {
        arguments.push("-c".into());
        arguments.push(setting.into());
    }
    arguments
}
