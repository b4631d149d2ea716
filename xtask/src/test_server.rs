//! A server with a new data folder, for the dashboard's tests and measurements in Chromium.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::process;

/// Time within which the server must accept connections.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// The end of the line that the server prints once it accepts connections.
const READY: &str = "is ready.";

const TOKEN: &str = "admin-token-of-the-browser-tests";

/// A server with its own data folder. It is stopped when dropped.
pub(crate) struct Server {
    child: Child,
    admin_port: u16,
    folder: PathBuf,
}

impl Server {
    /// Starts the server of a build profile, and waits until it accepts connections.
    pub(crate) fn start(profile: &str) -> Result<Self> {
        // If this user is root, Postgres runs as another user, who may not have access to the target folder.
        let folder = std::env::temp_dir().join(format!("atlashub-browser-tests-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("could not create {}", folder.display()))?;
        let log = process::target_folder().join("browser-tests.log");
        let output = File::create(&log).with_context(|| format!("could not create {}", log.display()))?;
        let [public_port, admin_port, store_port] = free_ports()?;
        let binary = process::target_folder().join(profile).join(format!("atlashub{}", std::env::consts::EXE_SUFFIX));
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
        // Allows jobs to call servers that the tests start.
        command.env("ATLASHUB_HTTP_ALLOWED_HOSTS", "localhost+private");
        command.env("DEV_ADMIN_TOKEN", TOKEN).env("ATLASHUB_DATA_DIR", folder.join("data"));
        let mut child = command.spawn().context("could not start the server")?;
        let stdout = child.stdout.take().context("the server has no output")?;
        let server = Self { child, admin_port, folder };
        match report_when_ready(stdout, output).recv_timeout(START_TIMEOUT) {
            Ok(()) => Ok(server),
            Err(RecvTimeoutError::Timeout) => bail!("The server did not become ready. Its log is {}.", log.display()),
            Err(RecvTimeoutError::Disconnected) => bail!("The server stopped. Its log is {}.", log.display()),
        }
    }

    /// Returns the URL of the platform's database.
    pub(crate) fn database_url(&self) -> Result<String> {
        let read = |name: &str| {
            let file = self.folder.join("data").join(name);
            fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))
        };
        let (password, port) = (read("secrets/postgres-password")?, read("postgres-port")?);
        Ok(format!("postgres://atlashub:{}@127.0.0.1:{}/platform", password.trim(), port.trim()))
    }

    /// Sets the variables with which a program finds the server and signs in.
    pub(crate) fn set_environment<'a>(&self, program: &'a mut Command) -> &'a mut Command {
        program.env("ATLASHUB_URL", format!("http://127.0.0.1:{}", self.admin_port)).env("ATLASHUB_ADMIN_TOKEN", TOKEN)
    }
}

/// Copies the server's output to its log, and sends a message when the server is ready.
fn report_when_ready(stdout: ChildStdout, mut log: File) -> Receiver<()> {
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
        let is_stopping = process::succeeds(Command::new("kill").arg(self.child.id().to_string()));
        #[cfg(not(unix))]
        let is_stopping = self.child.kill().is_ok();
        if !is_stopping {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
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
