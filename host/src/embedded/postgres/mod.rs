//! A private Postgres on loopback. The programs are found or downloaded, the cluster is created once, and the server
//! runs as a child of this process.
//!
//! All data is durable: `fsync` and data checksums are on, and the server is shut down cleanly. A server that outlived
//! its parent is shut down before the next one starts.
//!
//! Deliberately absent: the contents of the databases.
//!
//! Modules in reading order:
//! - `binaries`, `download`: the Postgres programs.
//! - `account`: the operating system user that runs them.
//! - `cluster`: the files on disk, and the port.
//! - `fence`: the lock that all processes of a start hold.
//! - `launch`, `log`, `server`: the server process and its supervisor.
//! - `orphan`: a server that outlived its parent.
//! - `instance`: all steps of a start in order.

mod account;
pub mod binaries;
mod cluster;
mod download;
mod fence;
mod instance;
pub mod launch;
mod log;
mod orphan;
mod server;

pub use instance::{Postgres, PostgresSettings, url_of_running};

/// Name of the role that the platform connects as.
pub const SUPERUSER: &str = "atlashub";
/// Name of the platform's own database.
pub const PLATFORM_DATABASE: &str = "platform";
