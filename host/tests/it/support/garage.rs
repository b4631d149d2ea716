//! A private Garage server, for running the storage tests against another implementation of S3.

use std::{
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, Command, Stdio},
};

use super::{eventually_blocking, postgres::free_port};

pub const ACCESS_KEY: &str = "GK0123456789abcdef01234567";
pub const SECRET_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// Garage rejects signatures for any other region.
pub const REGION: &str = "garage";

/// A running server with one key that can create buckets.
pub struct Garage {
    pub endpoint: String,
    /// The watchdog stops the server when this pipe closes, even if the test process is killed.
    _watchdog: (Child, ChildStdin),
}

impl Garage {
    /// Starts `binary` on free ports with a new folder, and waits until it is ready.
    pub fn start(binary: &str) -> Self {
        let port = free_port();
        let folder = std::env::temp_dir().join(format!("atlashub-garage-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("temporary folder");
        let config = format!(
            "metadata_dir = \"{folder}/meta\"\n\
             data_dir = \"{folder}/data\"\n\
             db_engine = \"sqlite\"\n\
             replication_factor = 1\n\
             rpc_bind_addr = \"127.0.0.1:{rpc}\"\n\
             rpc_public_addr = \"127.0.0.1:{rpc}\"\n\
             rpc_secret = \"{SECRET_KEY}\"\n\
             [s3_api]\n\
             s3_region = \"{REGION}\"\n\
             api_bind_addr = \"127.0.0.1:{port}\"\n",
            folder = folder.display(),
            rpc = free_port(),
        );
        let config_file = folder.join("garage.toml");
        std::fs::write(&config_file, config).expect("configuration");
        // The shell outlives this process until it has stopped the server and removed the folder.
        let script = format!(
            "'{binary}' -c '{config}' server --single-node --default-access-key >'{folder}/log' 2>&1 & \
             pid=$!; cat >/dev/null; kill -TERM $pid; wait $pid; rm -rf '{folder}'",
            config = config_file.display(),
            folder = folder.display(),
        );
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .env("GARAGE_DEFAULT_ACCESS_KEY", ACCESS_KEY)
            .env("GARAGE_DEFAULT_SECRET_KEY", SECRET_KEY)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("Garage should start");
        let pipe = child.stdin.take().expect("stdin");
        // Garage creates the key at the end of its start-up. The command below looks the key up over the network.
        let is_ready = || {
            Command::new(binary)
                .args(["-c", &config_file.display().to_string(), "key", "info", ACCESS_KEY])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        };
        eventually_blocking(&format!("Garage is ready, see {}/log", folder.display()), is_ready);
        Self { endpoint: format!("http://127.0.0.1:{port}"), _watchdog: (child, pipe) }
    }
}
