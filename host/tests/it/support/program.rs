//! The real program as a process of its own.

use std::{
    collections::HashMap,
    fs::{self, Permissions},
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// Much longer than anything takes on a machine that does something else as well.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Variables of the program; it sees nothing else of the environment.
#[derive(Clone, Default)]
pub struct ProgramVars(Vec<(String, String)>);

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A running `atlashub serve`, killed when it is dropped.
pub struct Serving {
    child: Child,
    /// What it said on stdout until it listened.
    pub banner: Vec<String>,
    pub public_url: String,
    pub admin_url: String,
    /// What it said on stderr until it listened, and what comes after.
    log: (Vec<String>, mpsc::Receiver<String>),
}

impl ProgramVars {
    /// Free ports for everything, and nothing else: the embedded default on a data folder.
    pub fn embedded(data_dir: &Path) -> Self {
        Self::default()
            .set("ATLASHUB_DATA_DIR", data_dir.to_str().expect("a path in UTF-8"))
            .set("ATLASHUB_PUBLIC_LISTEN", "127.0.0.1:0")
            .set("ATLASHUB_ADMIN_LISTEN", "127.0.0.1:0")
            .set("ATLASHUB_EMBEDDED_S3_LISTEN", "127.0.0.1:0")
    }

    /// An external Postgres, and the store that the tests share.
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
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atlashub"));
        // A folder without a `.env`.
        command.args(arguments).env_clear().current_dir("/").stdin(Stdio::null());
        command.envs(std::env::vars().filter(|(name, _)| name == "PATH" || name == "ATLASHUB_POSTGRES_BIN_DIR"));
        command.envs(self.0.iter().cloned().collect::<HashMap<_, _>>());
        command
    }

    /// Runs a command that ends by itself.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().expect("the program runs");
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
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
            .expect("the program runs");
        let stdout = follow(child.stdout.take().expect("stdout"));
        let stderr = follow(child.stderr.take().expect("stderr"));
        let (mut public_url, mut admin_url, mut banner) = (String::new(), String::new(), Vec::new());
        let mut log = Vec::new();
        while admin_url.is_empty() {
            let Ok(line) = stderr.recv_timeout(PATIENCE) else { panic!("it did not start:\n{}", log.join("\n")) };
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            let url = || format!("http://{}", event["address"].as_str().expect("an address"));
            match event["message"].as_str() {
                Some("the public surface is listening") => public_url = url(),
                Some("the admin surface is listening") => admin_url = url(),
                _ => {}
            }
            log.push(line);
        }
        // It was printed before the program listened, and may still be on its way. An empty line ends it.
        let embedded = log.iter().any(|line| line.contains("the embedded Postgres is ready"));
        while embedded && !(banner.len() > 2 && banner.last().is_some_and(String::is_empty)) {
            banner.push(stdout.recv_timeout(PATIENCE).expect("the rest of the banner"));
        }
        banner.extend(stdout.try_iter());
        Serving { child, banner, public_url, admin_url, log: (log, stderr) }
    }
}

impl Serving {
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("waited for");
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("signalled");
    }

    /// Ends it in order and answers its whole log.
    pub fn end(mut self) -> Vec<String> {
        self.signal(Signal::SIGTERM);
        self.child.wait().expect("waited for");
        let (mut log, rest) = (std::mem::take(&mut self.log.0), &self.log.1);
        // The pipe's end ends the channel.
        log.extend(rest.iter());
        log
    }

    /// Waits for the end.
    pub fn wait(mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::yield_now();
        }
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

/// Lines as they come; the program never waits for us to read.
fn follow(source: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(source).lines().map_while(Result::ok) {
            // Nobody may listen any more, and the pipe has to be emptied all the same.
            let _ = sender.send(line);
        }
    });
    receiver
}

/// A temporary folder that any user may pass through: Postgres runs as another user where the tests run as root.
pub fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("mode");
    folder
}
