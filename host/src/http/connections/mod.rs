//! The listeners: accepts connections, bounds their number and their duration, and serves HTTP/1.1 on them.
//!
//! hyper parses requests and writes responses. This module limits the time for which a connection may wait, and selects
//! the connection to close when there are too many. It consists of these modules:
//!
//! - `state`: the current state of a connection, in atomics. The registry can close a connection that waits. It can
//!   close one that serves a request only if the client reads the response too slowly.
//! - `registry`: all connections of a listener: admission, replacement, timeouts and shutdown.
//! - `io`: the socket between client and hyper; records bytes and waits, and discards hyper's own error responses.
//! - `service`: the router for one connection; tracks when a response starts and ends.
//! - `refusal`: error responses that are written without hyper.
//! - `serve`: the accept loop, and the task of a connection.
//! - `open_files`: raises the limit on open files.
//!
//! Deliberately absent: time limits of bodies and handlers (`http::limits`), and HTTP/2, which no supported proxy needs
//! towards the server. A request that starts with the preface of HTTP/2 is refused with 505.

mod io;
mod open_files;
mod refusal;
mod registry;
mod serve;
mod service;
mod state;

use std::time::Duration;

use crate::config::ConnectionsConfig;

pub use open_files::raise_open_file_limit;
pub use serve::serve_connections;
pub use service::HeldUntilWritten;

/// Maximum size of a request's head: request line and headers.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Name and limits of a listener.
#[derive(Debug, Clone)]
pub struct ListenerLimits {
    /// The name in the log and in metrics.
    pub name: &'static str,
    pub max_connections: usize,
    pub head_timeout: Duration,
    pub idle_timeout: Duration,
    pub write_timeout: Duration,
    pub min_bytes_per_second: u64,
}

impl ListenerLimits {
    pub fn public(config: &ConnectionsConfig) -> Self {
        Self::new("public", config.public, config)
    }

    pub fn admin(config: &ConnectionsConfig) -> Self {
        Self::new("admin", config.admin, config)
    }

    fn new(name: &'static str, max_connections: usize, config: &ConnectionsConfig) -> Self {
        Self {
            name,
            max_connections,
            head_timeout: config.head_timeout,
            idle_timeout: config.idle_timeout,
            write_timeout: config.write_timeout,
            min_bytes_per_second: config.min_bytes_per_second,
        }
    }
}
