//! The cluster on disk, which `initdb` creates once, and the port of its server.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write as _},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use nix::unistd::chown;
use uuid::Uuid;

use super::{
    SUPERUSER,
    account::Account,
    binaries::Binaries,
    launch::{Launcher, OnParentDeath},
    log,
};
use crate::{
    config::{ConfigError, Secret},
    embedded::{
        EmbeddedError,
        data_folder::{DataFolder, sync_parent, write_private},
    },
};

/// Prefix of the folders in which clusters are created.
const ATTEMPT_PREFIX: &str = "attempt-";
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

/// Creates the cluster in a folder of this attempt only, checks it, and renames it. So a crash never leaves an
/// incomplete cluster, and an `initdb` of an earlier start that still runs can't write to it.
pub(super) fn create(
    data_folder: &DataFolder,
    binaries: &Binaries,
    launcher: &Launcher,
    password: &Secret,
) -> Result<(), EmbeddedError> {
    let cluster = folder(data_folder);
    let parent = data_folder.private_folder("postgres")?;
    if let Some(account) = &launcher.account {
        change_owner(&parent, account)?;
    }
    let attempt = parent.join(format!("{ATTEMPT_PREFIX}{}", Uuid::new_v4().simple()));
    let created = create_in(&attempt, binaries, launcher, password).and_then(|unfinished| {
        fs::rename(&unfinished, &cluster)
            .and_then(|()| sync_parent(&cluster))
            .map_err(EmbeddedError::path(&cluster, REMEDY))
    });
    remove_attempt(&attempt);
    created
}

/// Creates and checks a cluster. Returns its folder.
fn create_in(
    attempt: &Path,
    binaries: &Binaries,
    launcher: &Launcher,
    password: &Secret,
) -> Result<PathBuf, EmbeddedError> {
    fs::DirBuilder::new().mode(0o700).create(attempt).map_err(EmbeddedError::path(attempt, REMEDY))?;
    let (unfinished, password_file) = (attempt.join("cluster"), attempt.join("password"));
    write_private(&password_file, password.expose().as_bytes())?;
    if let Some(account) = &launcher.account {
        change_owner(attempt, account)?;
        change_owner(&password_file, account)?;
    }
    let mut locale = "C.UTF-8";
    let mut output = initialise(binaries, launcher, &unfinished, &password_file, locale)?;
    // macOS has no C.UTF-8. Both locales sort by bytes.
    if !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("invalid locale name") {
        locale = "C";
        output = initialise(binaries, launcher, &unfinished, &password_file, locale)?;
    }
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let message = stderr.lines().rfind(|line| line.contains("error")).or(stderr.lines().last());
        let output = message.unwrap_or("it printed no error message").to_owned();
        return Err(EmbeddedError::Program { program: "initdb", output });
    }
    check(binaries, launcher, &unfinished, locale)?;
    Ok(unfinished)
}

fn initialise(
    binaries: &Binaries,
    launcher: &Launcher,
    cluster: &Path,
    password_file: &Path,
    locale: &str,
) -> Result<Output, EmbeddedError> {
    let mut arguments: Vec<OsString> = vec!["--pgdata".into(), cluster.into(), "--pwfile".into(), password_file.into()];
    arguments.push(format!("--locale={locale}").into());
    let fixed = ["--encoding=UTF8", "--data-checksums", "--auth=scram-sha-256", "--username", SUPERUSER];
    arguments.extend(fixed.map(OsString::from));
    let initdb = binaries.program("initdb");
    launcher
        .command(&initdb, &arguments, OnParentDeath::Die)
        .output()
        .map_err(EmbeddedError::path(&initdb, "make it executable for all users, or reinstall Postgres"))
}

/// Checks that a new cluster can be opened and has the expected version, checksums, locale and encoding.
fn check(binaries: &Binaries, launcher: &Launcher, cluster: &Path, locale: &str) -> Result<(), EmbeddedError> {
    const QUERY: &[u8] = b"SELECT current_setting('server_version_num')::int / 10000 || ' ' || \
        current_setting('data_checksums') || ' ' || (SELECT string_agg(DISTINCT \
        datcollate || ' ' || datctype || ' ' || pg_encoding_to_char(encoding), ', ') FROM pg_database) AS found\n";
    let postgres = binaries.program("postgres");
    let arguments = [OsString::from("--single"), "-D".into(), cluster.into(), "template1".into()];
    let run = || {
        let mut child = launcher
            .command(&postgres, &arguments, OnParentDeath::Die)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // The write fails if the program has ended. Then its output lacks the expected text.
            let _ = stdin.write_all(QUERY);
        }
        child.wait_with_output()
    };
    let output =
        run().map_err(EmbeddedError::path(&postgres, "make it executable for all users, or reinstall Postgres"))?;
    let expected = format!("\"{} on {locale} {locale} UTF8\"", binaries.major);
    let shown = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && shown.contains(&format!("found = {expected}")) {
        return Ok(());
    }
    let found = shown.lines().find_map(|line| line.split_once("found = ")).map_or("nothing", |(_, found)| found);
    let output = format!("the new cluster is not as requested (expected {expected}, found {found})");
    Err(EmbeddedError::Program { program: "initdb", output })
}

/// Removes leftovers of killed starts. A failure does not prevent the start, because attempts share no files.
pub(super) fn remove_earlier_attempts(data_folder: &DataFolder) {
    for entry in fs::read_dir(data_folder.join("postgres")).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // `cluster.new` and `initial-password` are from earlier versions.
        if name.starts_with(ATTEMPT_PREFIX) || name == "cluster.new" || name.starts_with("initial-password") {
            remove_attempt(&entry.path());
        }
    }
}

fn remove_attempt(path: &Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "could not remove files of an unfinished cluster");
        }
        _ => {}
    }
}

fn change_owner(path: &Path, account: &Account) -> Result<(), EmbeddedError> {
    chown(path, Some(account.uid), Some(account.gid)).map_err(|error| EmbeddedError::path(path, REMEDY)(error.into()))
}

/// The port to serve on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Port {
    /// Set in the configuration.
    Configured(u16),
    /// Chosen here. If another program takes it in the meantime, another port is chosen.
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
