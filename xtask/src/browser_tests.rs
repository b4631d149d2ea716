//! Runs the dashboard's tests in Chromium, against the built server with a new data folder.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{dashboard, process, setup};

/// Time within which the server must accept connections.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// Files that run at the same time. Each uses projects of its own, and waits more than it computes.
const CONCURRENT_FILES: &str = "3";

/// The line that the server prints once it accepts connections ends with this.
const READY: &str = "is ready.";

const TOKEN: &str = "admin-token-of-the-browser-tests";

/// Runs all tests, or only those of the files whose name contains `filter`.
pub(crate) fn run(filter: Option<&str>) -> Result<()> {
    let tests = test_files(filter)?;
    if tests.is_empty() {
        return Ok(());
    }
    let chromium = setup::chromium().context("Chromium is not installed")?;
    let server = Server::start()?;
    let mut node = Command::new("node");
    node.current_dir(dashboard::folder()).args(["--test", "--test-concurrency", CONCURRENT_FILES]).args(tests);
    node.env("ATLASHUB_URL", format!("http://127.0.0.1:{}", server.admin_port)).env("ATLASHUB_ADMIN_TOKEN", TOKEN);
    process::run(node.env("ATLASHUB_TEST_CHROMIUM", chromium))
}

fn test_files(filter: Option<&str>) -> Result<Vec<OsString>> {
    let folder = dashboard::folder().join("tests");
    let entries = fs::read_dir(&folder).with_context(|| format!("could not read {}", folder.display()))?;
    let mut files: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
    files.retain(|file| file.to_str().is_some_and(|name| name.ends_with(".test.mjs")));
    if let Some(filter) = filter {
        files.retain(|file| file.to_str().is_some_and(|name| name.contains(filter)));
    }
    files.sort();
    Ok(files.into_iter().map(|file| Path::new("tests").join(file).into_os_string()).collect())
}

/// A server with its own data folder. It is stopped when dropped.
struct Server {
    child: Child,
    admin_port: u16,
    folder: PathBuf,
}

impl Server {
    fn start() -> Result<Self> {
        let folder = process::target_folder().join("browser-tests");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).with_context(|| format!("could not create {}", folder.display()))?;
        let log = folder.join("server.log");
        let output = File::create(&log).with_context(|| format!("could not create {}", log.display()))?;
        let [public_port, admin_port, store_port] = free_ports()?;
        let binary = process::target_folder().join("debug").join(format!("atlashub{}", std::env::consts::EXE_SUFFIX));
        let mut command = Command::new(binary);
        command
            .arg("serve")
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(output.try_clone()?);
        for (name, port) in [
            ("ATLASHUB_PUBLIC_LISTEN", public_port),
            ("ATLASHUB_ADMIN_LISTEN", admin_port),
            ("ATLASHUB_EMBEDDED_S3_LISTEN", store_port),
        ] {
            command.env(name, format!("127.0.0.1:{port}"));
        }
        // For jobs that call a server of the tests.
        command.env("ATLASHUB_HTTP_ALLOWED_HOSTS", "localhost+private");
        command.env("DEV_ADMIN_TOKEN", TOKEN).env("ATLASHUB_DATA_DIR", folder.join("data"));
        let mut child = command.spawn().context("could not start the server")?;
        let stdout = child.stdout.take().context("the server has no output")?;
        let server = Self { child, admin_port, folder };
        match lines_until_ready(stdout, output).recv_timeout(START_TIMEOUT) {
            Ok(()) => Ok(server),
            Err(RecvTimeoutError::Timeout) => bail!("The server did not become ready. Its log is {}.", log.display()),
            Err(RecvTimeoutError::Disconnected) => bail!("The server stopped. Its log is {}.", log.display()),
        }
    }
}

/// Copies what the server prints to its log. Sends a message once it is ready.
fn lines_until_ready(stdout: ChildStdout, mut log: File) -> Receiver<()> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if line.ends_with(READY) {
                let _ = sender.send(());
            }
            let _ = writeln!(log, "{line}");
        }
    });
    receiver
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM lets the server stop its embedded Postgres.
        #[cfg(unix)]
        let asked = process::succeeds(Command::new("kill").arg(self.child.id().to_string()));
        #[cfg(not(unix))]
        let asked = self.child.kill().is_ok();
        if !asked {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(self.folder.join("data"));
    }
}

/// Returns three free ports.
fn free_ports() -> Result<[u16; 3]> {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0"));
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(listeners) {
        *port = listener?.local_addr()?.port();
    }
    Ok(ports)
}
