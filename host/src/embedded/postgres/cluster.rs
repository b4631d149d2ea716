//! The cluster on disk: created once with `initdb`, and the port that it is served on.

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use nix::unistd::chown;

use super::{SUPERUSER, account::Account, binaries::Binaries, launch, log};
use crate::{
    config::{ConfigError, Secret},
    embedded::{
        EmbeddedError,
        data_folder::{DataFolder, sync_parent, write_private},
    },
};

const REMEDY: &str = "correct the folder's owner and mode, or set ATLASHUB_DATA_DIR to another folder";

/// Returns the folder of the cluster.
pub(super) fn folder(data_folder: &DataFolder) -> PathBuf {
    data_folder.join("postgres").join("cluster")
}

/// Returns the major version that created the cluster, or `None` if there is no cluster yet.
pub(super) fn major(cluster: &Path) -> Result<Option<u32>, EmbeddedError> {
    let path = cluster.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| EmbeddedError::Path {
            path,
            cause: io::Error::other("it does not contain a version"),
            remedy: "restore the data folder from a backup",
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EmbeddedError::path(&path, REMEDY)(error)),
    }
}

/// Creates the cluster in a temporary folder and renames that when it is complete, so that a crash never leaves an
/// incomplete cluster.
pub(super) fn create(
    data_folder: &DataFolder,
    binaries: &Binaries,
    account: Option<&Account>,
    password: &Secret,
) -> Result<(), EmbeddedError> {
    let cluster = folder(data_folder);
    let parent = data_folder.private_folder("postgres")?;
    if let Some(account) = account {
        change_owner(&parent, account)?;
    }
    let unfinished = parent.join("cluster.new");
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(EmbeddedError::path(&unfinished, "remove it manually")(error));
        }
        _ => {}
    }
    fs::DirBuilder::new().mode(0o700).create(&unfinished).map_err(EmbeddedError::path(&unfinished, REMEDY))?;
    if let Some(account) = account {
        change_owner(&unfinished, account)?;
    }
    let password_file = parent.join("initial-password");
    write_private(&password_file, password.expose().as_bytes())?;
    let initialised = account.map_or(Ok(()), |account| change_owner(&password_file, account)).and_then(|()| {
        // macOS has no C.UTF-8. Both locales sort by bytes.
        initialise(binaries, account, &unfinished, &password_file, "C.UTF-8")
            .or_else(|_| initialise(binaries, account, &unfinished, &password_file, "C"))
    });
    let removed = fs::remove_file(&password_file).map_err(EmbeddedError::path(&password_file, "remove it manually"));
    initialised?;
    removed?;
    fs::rename(&unfinished, &cluster)
        .and_then(|()| sync_parent(&cluster))
        .map_err(EmbeddedError::path(&cluster, REMEDY))
}

fn initialise(
    binaries: &Binaries,
    account: Option<&Account>,
    cluster: &Path,
    password_file: &Path,
    locale: &str,
) -> Result<(), EmbeddedError> {
    let output = launch::program_command(&binaries.program("initdb"), account)
        .arg("--pgdata")
        .arg(cluster)
        .arg("--pwfile")
        .arg(password_file)
        .arg(format!("--locale={locale}"))
        .args(["--encoding=UTF8", "--data-checksums", "--auth=scram-sha-256", "--username", SUPERUSER])
        .output()
        .map_err(EmbeddedError::path(
            &binaries.program("initdb"),
            "make it executable for all users, or reinstall Postgres",
        ))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let message = stderr.lines().rfind(|line| line.contains("error")).or(stderr.lines().last());
    Err(EmbeddedError::Program {
        program: "initdb",
        output: message.unwrap_or("it printed no error message").to_owned(),
    })
}

fn change_owner(path: &Path, account: &Account) -> Result<(), EmbeddedError> {
    chown(path, Some(account.uid), Some(account.gid)).map_err(|error| EmbeddedError::path(path, REMEDY)(error.into()))
}

/// The port to serve on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Port {
    /// Set in the configuration.
    Configured(u16),
    /// Chosen here: if it is taken meanwhile, another port is chosen.
    Chosen(u16),
}

impl Port {
    pub(super) fn number(self) -> u16 {
        match self {
            Self::Configured(port) | Self::Chosen(port) => port,
        }
    }
}

/// Returns the configured port. Without one, returns the port of the previous start if it is free, or else any free
/// port. Saves the port for other processes and the next start.
pub(super) fn choose_port(data_folder: &DataFolder, configured: Option<u16>) -> Result<Port, EmbeddedError> {
    if let Some(port) = configured {
        return match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => Ok(Port::Configured(port)).inspect(|port| save_port(data_folder, port.number())),
            Err(error) => Err(ConfigError::new(
                "ATLASHUB_POSTGRES_PORT",
                format!("is {port}, which can't be used ({error})"),
                "set it to a free port, or unset it to use any free port",
            )
            .into()),
        };
    }
    if let Some(port) = saved_port(data_folder)
        && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
    {
        return Ok(Port::Chosen(port));
    }
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|error| EmbeddedError::NotStarted {
            reason: format!("no port of 127.0.0.1 is free ({error})"),
            log: log::log_file(data_folder),
        })?
        .port();
    save_port(data_folder, port);
    Ok(Port::Chosen(port))
}

/// Returns the port of the previous start.
pub(super) fn saved_port(data_folder: &DataFolder) -> Option<u16> {
    fs::read_to_string(data_folder.join("postgres-port")).ok()?.trim().parse().ok()
}

fn save_port(data_folder: &DataFolder, port: u16) {
    if let Err(error) = write_private(&data_folder.join("postgres-port"), format!("{port}\n").as_bytes()) {
        tracing::warn!(%error, "could not save the port of the embedded Postgres");
    }
}
