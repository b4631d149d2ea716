//! Runs the real program as a separate process.

use std::{
    collections::HashMap,
    fs::{self, Permissions},
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// A timeout that is much longer than any wait on a busy machine.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(120);

/// Environment variables of the program. The program inherits only `PATH`, with the folder of the tested version of
/// Postgres in front, and `ATLASHUB_POSTGRES_BIN_DIR`.
#[derive(Clone, Default)]
pub struct ProgramVars {
    vars: Vec<(String, String)>,
    open_files: Option<u64>,
}

/// The exit code and output of the program.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A running `atlashub serve`, killed when it is dropped.
pub struct Serving {
    child: Child,
    /// The lines on stdout until the program listened.
    pub banner: Vec<String>,
    pub public_url: String,
    pub admin_url: String,
    /// The lines on stderr until the program listened, and a receiver of later lines.
    log: (Vec<String>, mpsc::Receiver<String>),
}

impl ProgramVars {
    /// Returns the variables of the embedded default on a data folder, with free ports.
    pub fn embedded(data_dir: &Path) -> Self {
        Self::default()
            .set("ATLASHUB_DATA_DIR", data_dir.to_str().expect("a path in UTF-8"))
            .set("ATLASHUB_PUBLIC_LISTEN", "127.0.0.1:0")
            .set("ATLASHUB_ADMIN_LISTEN", "127.0.0.1:0")
            .set("ATLASHUB_EMBEDDED_S3_LISTEN", "127.0.0.1:0")
    }

    /// Returns the variables for an external Postgres and the store that all tests share.
    pub fn external(database_url: &str) -> Self {
        let store = super::Store::shared();
        Self::default()
            .set("ATLASHUB_DATABASE_URL", database_url)
            .set("ATLASHUB_S3_ENDPOINT", &store.endpoint)
            .set("ATLASHUB_S3_ACCESS_KEY_ID", &store.access_key)
            .set("ATLASHUB_S3_SECRET_ACCESS_KEY", &store.secret_key)
            .set("ATLASHUB_S3_REGION", &store.region)
            .set("PLATFORM_MASTER_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
            .set("DEV_ADMIN_TOKEN", super::app::ADMIN_TOKEN)
            .set("ATLASHUB_PUBLIC_LISTEN", "127.0.0.1:0")
            .set("ATLASHUB_ADMIN_LISTEN", "127.0.0.1:0")
    }

    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.vars.retain(|(known, _)| known != name);
        self.vars.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Limits the number of files that the program may open.
    pub fn open_files(mut self, limit: u64) -> Self {
        self.open_files = Some(limit);
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_atlashub");
        let mut command = match self.open_files {
            None => Command::new(program),
            Some(limit) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\""), program]);
                shell
            }
        };
        // The current folder must not contain a `.env`.
        command.args(arguments).env_clear().current_dir("/").stdin(Stdio::null());
        command.envs(std::env::vars().filter(|(name, _)| name == "PATH" || name == "ATLASHUB_POSTGRES_BIN_DIR"));
        if let (Some(programs), Some(path)) = (std::env::var_os("ATLASHUB_POSTGRES_BIN_DIR"), std::env::var_os("PATH"))
        {
            // With an external Postgres, the program looks for `pg_dump` in `PATH`.
            let folders = std::iter::once(programs.into()).chain(std::env::split_paths(&path));
            command.env("PATH", std::env::join_paths(folders).expect("folders without separators"));
        }
        command.envs(self.vars.iter().cloned().collect::<HashMap<_, _>>());
        command
    }

    /// Runs a command and waits for its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().expect("the program should run");
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// Starts a command without waiting for its end. Its output is discarded.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program should run")
    }

    /// Runs `atlashub serve` and waits until it listens.
    pub fn serve(&self, arguments: &[&str]) -> Serving {
        let mut arguments = arguments.to_vec();
        arguments.insert(0, "serve");
        let mut child = self
            .clone()
            .set("ATLASHUB_LOG_FORMAT", "json")
            .command(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program should run");
        let stdout = read_lines(child.stdout.take().expect("stdout"));
        let stderr = read_lines(child.stderr.take().expect("stderr"));
        let (mut public_url, mut admin_url, mut banner) = (String::new(), String::new(), Vec::new());
        let mut log = Vec::new();
        while admin_url.is_empty() {
            let Ok(line) = stderr.recv_timeout(WAIT_TIMEOUT) else {
                panic!("the server did not start:\n{}", log.join("\n"))
            };
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            let url = || format!("http://{}", event["address"].as_str().expect("an address"));
            match event["message"].as_str() {
                Some("the public surface is listening") => public_url = url(),
                Some("the admin surface is listening") => admin_url = url(),
                _ => {}
            }
            log.push(line);
        }
        // The banner was printed before the program listened, but may not have arrived. An empty line ends it.
        let embedded = log.iter().any(|line| line.contains("the embedded Postgres is ready"));
        while embedded && !(banner.len() > 2 && banner.last().is_some_and(String::is_empty)) {
            banner.push(stdout.recv_timeout(WAIT_TIMEOUT).expect("the rest of the banner"));
        }
        banner.extend(stdout.try_iter());
        Serving { child, banner, public_url, admin_url, log: (log, stderr) }
    }
}

impl Serving {
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Kills the server with SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("waited for");
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("signalled");
    }

    /// Stops the server with SIGTERM and returns its whole log.
    pub fn end(mut self) -> Vec<String> {
        self.signal(Signal::SIGTERM);
        self.child.wait().expect("waited for");
        let (mut log, rest) = (std::mem::take(&mut self.log.0), &self.log.1);
        // The channel closes at the end of the pipe.
        log.extend(rest.iter());
        log
    }

    /// Waits until the server exits.
    pub fn wait(mut self) -> ExitStatus {
        super::eventually_blocking("the server exits", || self.child.try_wait().expect("waited for"))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Reads lines in the background, so that the program never blocks on a full pipe.
fn read_lines(source: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(source).lines().map_while(Result::ok) {
            // The pipe is emptied even if the receiver was dropped.
            let _ = sender.send(line);
        }
    });
    receiver
}

/// Creates a temporary folder that every user can traverse: if the tests run as root, Postgres runs as another user.
pub fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("mode");
    folder
}
