//! Postgres servers for tests. They stop when the test process ends.

use std::{
    io::Write,
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use parking_lot::Mutex;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::eventually_blocking;

const PASSWORD: &str = "password-of-the-tests";

/// A running server.
pub struct Postgres {
    pub port: u16,
    databases: AtomicU32,
    template: tokio::sync::OnceCell<()>,
    /// The folder with its data and its log.
    folder: PathBuf,
    /// A shell that stops the server when the pipe closes, even if the test process is killed.
    watchdog: Mutex<(Child, ChildStdin)>,
}

impl Postgres {
    /// Returns the server that all tests of the process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts a server for one test, which may stop it or change its settings.
    pub fn start() -> Self {
        Self::start_with(&bin_dir(), "-c synchronous_commit=off")
    }

    /// Starts a server of this major version for one test.
    pub fn start_version(major: u32) -> Self {
        Self::start_with(&bin_dir_of(major), "-c synchronous_commit=off")
    }

    /// Starts a server whose commits survive [`Self::crash_and_restart`].
    pub fn start_durable() -> Self {
        Self::start_with(&bin_dir(), "-c synchronous_commit=on")
    }

    fn start_with(bin: &Path, settings: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("atlashub-test-{}-{}", std::process::id(), free_port()));
        std::fs::create_dir_all(&folder).expect("temporary folder");
        let user = server_user();
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).expect("chown");
        }
        let password_file = folder.join("password");
        std::fs::File::create(&password_file)
            .and_then(|mut file| file.write_all(PASSWORD.as_bytes()))
            .expect("password file");
        let data = folder.join("data");
        let mut initdb = as_user(Command::new(bin.join("initdb")), user);
        let output = initdb
            .args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
            .arg(format!("--pwfile={}", password_file.display()))
            .arg(format!("--pgdata={}", data.display()))
            .current_dir(&folder)
            .output()
            .expect("initdb should run");
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        let port = free_port();
        let watchdog = serve(bin, &folder, &data, port, user, settings);
        let server = Self {
            port,
            databases: AtomicU32::new(0),
            template: tokio::sync::OnceCell::new(),
            folder,
            watchdog: Mutex::new(watchdog),
        };
        server.wait_until_ready();
        server
    }

    /// Stops the server immediately, as a crash does, and waits until it has restarted.
    pub fn crash_and_restart(&self) {
        let starts = || self.log().matches("starting PostgreSQL").count();
        let previous_starts = starts();
        self.watchdog.lock().1.write_all(b"again\n").expect("the watchdog should listen");
        eventually_blocking("Postgres restarts", || starts() > previous_starts);
        self.wait_until_ready();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn wait_until_ready(&self) {
        let is_ready = || {
            Command::new(bin_dir().join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status()
                .is_ok_and(|status| status.success())
        };
        eventually_blocking(&format!("Postgres is ready, see {}/log", self.folder.display()), is_ready);
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates a migrated platform database by cloning a template. Returns its URL.
    pub async fn platform_database(&self) -> String {
        self.template
            .get_or_init(|| async {
                self.execute("CREATE DATABASE platform_template").await;
                atlashub::db::migrations::apply(&self.url("platform_template")).await.expect("migrations");
            })
            .await;
        let name = format!("platform_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("CREATE DATABASE {name} TEMPLATE platform_template")).await;
        self.url(&name)
    }

    pub async fn execute(&self, sql: &str) {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.expect("connect to Postgres");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect(sql);
        connection.close().await.expect("close");
    }
}

fn serve(
    bin: &Path,
    folder: &Path,
    data: &Path,
    port: u16,
    user: Option<(u32, u32)>,
    settings: &str,
) -> (Child, ChildStdin) {
    // The shell outlives the test process until it has stopped the server and removed the folder. Each line on its
    // standard input crashes and restarts the server.
    let script = format!(
        "serve() {{ '{bin}/postgres' -D '{data}' -p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' \
         -c fsync=off -c full_page_writes=off -c max_connections=400 -c shared_buffers=64MB \
         -c lc_messages=C {settings} >>'{folder}/log' 2>&1 & pid=$!; }}; \
         serve; while read -r line; do kill -QUIT $pid; wait $pid; serve; done; \
         kill -INT $pid; wait $pid; rm -rf '{folder}'",
        bin = bin.display(),
        data = data.display(),
        folder = folder.display(),
    );
    let mut command = as_user(Command::new("sh"), user);
    let mut child = command
        .args(["-c", &script])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("Postgres should start");
    let pipe = child.stdin.take().expect("stdin");
    (child, pipe)
}

/// Returns the user and group to run Postgres as if the tests run as root, because Postgres doesn't run as root.
fn server_user() -> Option<(u32, u32)> {
    nix::unistd::geteuid().is_root().then(|| {
        let user = ["postgres", "nobody"].iter().find_map(|name| nix::unistd::User::from_name(name).ok().flatten());
        let user = user.expect("a user to run Postgres as");
        (user.uid.as_raw(), user.gid.as_raw())
    })
}

fn as_user(mut command: Command, user: Option<(u32, u32)>) -> Command {
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// Returns the folder `ATLASHUB_POSTGRES_BIN_DIR`, or else the one of the newest version in `/usr/lib/postgresql`, or
/// else the first one in `PATH` with server programs.
pub fn bin_dir() -> PathBuf {
    if let Ok(folder) = std::env::var("ATLASHUB_POSTGRES_BIN_DIR") {
        return folder.into();
    }
    let mut folders: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, path)| path.join("initdb").exists())
        .collect();
    folders.sort();
    folders
        .pop()
        .map(|(_, path)| path)
        .or_else(bin_dir_in_path)
        .expect("install Postgres, or set ATLASHUB_POSTGRES_BIN_DIR")
}

/// Returns the major version of the server programs that the tests use.
pub fn major_version() -> u32 {
    let output = Command::new(bin_dir().join("postgres")).arg("--version").output().expect("postgres --version");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().nth(2).and_then(|version| version.split('.').next());
    version.and_then(|major| major.parse().ok()).unwrap_or_else(|| panic!("unexpected version: {text}"))
}

/// Returns the folder with the programs of a major version, which `cargo xtask test` downloads.
pub fn bin_dir_of(major: u32) -> PathBuf {
    let folder = std::env::var_os("ATLASHUB_TEST_POSTGRES_VERSIONS").expect("run the tests with `cargo xtask test`");
    PathBuf::from(folder).join(major.to_string()).join("bin")
}

fn bin_dir_in_path() -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).find(|folder| folder.join("initdb").exists())
}
