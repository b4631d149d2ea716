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

/// The line that the server prints once it accepts connections ends with this.
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
        let folder = process::target_folder().join("browser-tests");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).with_context(|| format!("could not create {}", folder.display()))?;
        let log = folder.join("server.log");
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

    /// Tells a program where the server is, and with which token to sign in.
    pub(crate) fn tell<'a>(&self, program: &'a mut Command) -> &'a mut Command {
        program.env("ATLASHUB_URL", format!("http://127.0.0.1:{}", self.admin_port)).env("ATLASHUB_ADMIN_TOKEN", TOKEN)
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
