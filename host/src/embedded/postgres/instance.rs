//! Starts the private Postgres: programs, cluster, server process and settings.

use std::{
    ffi::OsString,
    path::PathBuf,
    time::{Duration, Instant},
};

use tokio_postgres::{NoTls, error::SqlState};

use super::{
    PLATFORM_DATABASE, SUPERUSER, account, binaries,
    cluster::{self, Port},
    download, fence,
    launch::Launcher,
    log::log_file,
    orphan,
    server::{Server, ServerCommand, ServerState},
};
use crate::{
    config::Secret,
    embedded::{EmbeddedError, data_folder::DataFolder},
};

/// Timeout of a start. Crash recovery can take long on a small machine.
const START_TIMEOUT: Duration = Duration::from_secs(600);
/// Interval of log lines during a long start.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Settings of the server.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// Folder of the programs. Without it, the usual folders are searched, and the programs are downloaded if none are
    /// found.
    pub bin_dir: Option<PathBuf>,
    /// Port to serve on. Without it, a free port is chosen and kept across restarts.
    pub port: Option<u16>,
    /// Password of the superuser. Must be the one that the cluster was created with.
    pub password: Secret,
    pub max_connections: u32,
    /// The `atlashub` program, which stops the server when this process is killed (Linux only). Without it, the server
    /// keeps running until the next start stops it.
    pub launcher: Option<PathBuf>,
    /// Additional server settings, `name=value`. They override the defaults.
    pub settings: Vec<String>,
}

impl PostgresSettings {
    /// Creates settings with programs from the usual folders and a free port.
    pub fn new(password: Secret) -> Self {
        Self { bin_dir: None, port: None, password, max_connections: 120, launcher: None, settings: Vec::new() }
    }
}

/// A running server. Call [`Postgres::stop`] to stop it; a drop requests a stop without waiting.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    port: u16,
    password: Secret,
    bin_dir: PathBuf,
}

impl Postgres {
    /// Starts the server on the data folder, which the caller has locked, and creates the platform's database if it is
    /// missing. Returns when the server accepts connections.
    ///
    /// # Errors
    /// Fails if processes of an earlier start can't be stopped, there are no programs and they can't be downloaded, the
    /// cluster can't be created or read, the user of Postgres can't access a folder, the configured port is taken, the
    /// server ends during the start or does not accept connections in time, or the platform's database can't be
    /// created.
    pub async fn start(data_folder: &DataFolder, settings: PostgresSettings) -> Result<Self, EmbeddedError> {
        orphan::stop_orphaned_server(data_folder).await?;
        fence::end_earlier_processes(data_folder).await?;
        let cluster = cluster::folder(data_folder);
        cluster::remove_earlier_attempts(data_folder);
        let account = account::choose(&cluster)?;
        let major = cluster::major(&cluster)?;
        let binaries = match binaries::find(settings.bin_dir.as_deref(), major)? {
            Some(binaries) => binaries,
            None => download::ensure_downloaded(&data_folder.join("postgres-programs"), major).await?,
        };
        if let Some(account) = &account {
            account.ensure_access(&cluster, data_folder.path())?;
            account.ensure_access(&binaries.program("postgres"), data_folder.path())?;
        }
        let launcher = Launcher { program: settings.launcher.clone(), account, lock: fence::lock_file(data_folder) };
        if major.is_none() {
            tracing::info!(%binaries, "creating the cluster of the embedded Postgres");
            cluster::create(data_folder, &binaries, &launcher, &settings.password)?;
        }

        let log = log_file(data_folder);
        loop {
            let port = cluster::choose_port(data_folder, settings.port)?;
            let command = ServerCommand {
                postgres: binaries.program("postgres"),
                arguments: arguments(&cluster, port, &settings),
                launcher: launcher.clone(),
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
                        not_started(format!(
                            "its database `{PLATFORM_DATABASE}` could not be created: {}",
                            error_message(&error)
                        ))
                    })?;
                    postgres.server.enable_restart();
                    tracing::info!(port = postgres.port, %binaries, "the embedded Postgres is ready");
                    return Ok(postgres);
                }
                // Another program took the port after it was chosen: choose another one.
                Err(reason)
                    if matches!(port, Port::Chosen(_)) && reason.contains("could not create any TCP/IP sockets") => {}
                Err(reason) => return Err(not_started(reason)),
            }
        }
    }

    /// Returns the URL of a database of this server, for the superuser.
    pub fn url(&self, database: &str) -> Secret {
        url(&self.password, self.port, database)
    }

    /// Returns the port that the server listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the folder of the programs. It may contain `pg_dump` too.
    pub fn bin_dir(&self) -> &std::path::Path {
        &self.bin_dir
    }

    /// Shuts the server down and waits until it has ended.
    pub async fn stop(mut self) {
        self.server.stop().await;
        tracing::info!("the embedded Postgres has stopped");
    }

    async fn wait_until_ready(&self) -> Result<(), String> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(20);
        let mut next_log = LOG_INTERVAL;
        loop {
            if let ServerState::Exited(reason) = self.server.state() {
                let error = self.server.last_error();
                return Err(if error.is_empty() { reason } else { format!("{reason}: {error}") });
            }
            match self.connect("postgres").await {
                Ok(_) => return Ok(()),
                Err(error) if error.code() == Some(&SqlState::INVALID_PASSWORD) => {
                    return Err(
                        "secrets/postgres-password in the data folder is not the password that the cluster was \
                         created with; restore the old file"
                            .to_owned(),
                    );
                }
                Err(error) if started.elapsed() > START_TIMEOUT => return Err(error_message(&error)),
                Err(error) if started.elapsed() > next_log => {
                    tracing::info!(waiting_for = %error_message(&error), "the embedded Postgres is still starting");
                    next_log += LOG_INTERVAL;
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
        // The task that drives the connection ends when the client is dropped.
        tokio::spawn(connection);
        Ok(client)
    }

    async fn create_platform_database(&self) -> Result<(), tokio_postgres::Error> {
        let client = self.connect("postgres").await?;
        let exists = client.query_opt("SELECT FROM pg_database WHERE datname = $1", &[&PLATFORM_DATABASE]).await?;
        if exists.is_none() {
            client.batch_execute("CREATE DATABASE platform").await?;
        }
        // Roles of projects exist in the whole server. Without this statement, they could connect to these databases.
        client.batch_execute("REVOKE CONNECT, TEMPORARY ON DATABASE platform, postgres, template1 FROM PUBLIC").await
    }
}

/// Returns the URL of a database of the server that another process runs on the data folder.
pub fn url_of_running(data_folder: &DataFolder, password: &Secret, database: &str) -> Option<Secret> {
    cluster::saved_port(data_folder).map(|port| url(password, port, database))
}

fn url(password: &Secret, port: u16, database: &str) -> Secret {
    Secret::new(format!("postgres://{SUPERUSER}:{}@127.0.0.1:{port}/{database}?sslmode=disable", password.expose()))
}

/// Returns the message of the server without its context.
fn error_message(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => error.message().to_owned(),
        None => error.to_string(),
    }
}

fn arguments(cluster: &std::path::Path, port: Port, settings: &PostgresSettings) -> Vec<OsString> {
    let defaults = [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={}", port.number()),
        "unix_socket_directories=".to_owned(),
        format!("max_connections={}", settings.max_connections),
        "fsync=on".to_owned(),
        "full_page_writes=on".to_owned(),
        "password_encryption=scram-sha-256".to_owned(),
        // This is small enough for a Raspberry Pi that also runs other programs.
        "shared_buffers=128MB".to_owned(),
        // For the short statements of an API, compiling a plan takes more time than it saves.
        "jit=off".to_owned(),
        "shared_preload_libraries=".to_owned(),
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
        "lc_messages=C".to_owned(),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
        // Statements and error details contain values, which must not be logged.
        "log_statement=none".to_owned(),
        "log_min_error_statement=panic".to_owned(),
        // The level `log` excludes errors, whose messages contain values too, but includes the server's own messages.
        "log_min_messages=log".to_owned(),
        "log_error_verbosity=terse".to_owned(),
    ];
    let mut arguments = vec![OsString::from("-D"), cluster.into()];
    for setting in defaults.into_iter().chain(settings.settings.iter().cloned()) {
        arguments.push("-c".into());
        arguments.push(setting.into());
    }
    arguments
}
