//! Limits on the connections to the listeners.

use std::time::Duration;

use super::{ConfigError, Vars};

/// Minimum number of connections of a listener, even if the process may open fewer files.
const MIN_CONNECTIONS: usize = 8;

/// Limits on the connections of both listeners.
#[derive(Debug, Clone)]
pub struct ConnectionsConfig {
    /// Maximum number of open connections of the public listener.
    pub public: usize,
    /// Maximum number of open connections of the admin listener.
    pub admin: usize,
    /// Time limit for receiving the head of a request (request line and headers).
    pub head_timeout: Duration,
    /// Time limit for an idle connection between two requests.
    pub idle_timeout: Duration,
    /// Maximum time that a client may go without reading any of its response.
    pub write_timeout: Duration,
    /// Minimum average rate of request bodies, and of responses that wait for the client.
    pub min_bytes_per_second: u64,
}

impl ConnectionsConfig {
    /// Reads the limits on connections.
    ///
    /// # Errors
    /// Fails if a variable is invalid. The error describes the first such variable.
    pub fn from_vars(vars: &Vars) -> Result<Self, ConfigError> {
        let seconds = |name| vars.number(name, 1..=3600).map(Duration::from_secs);
        Ok(Self {
            public: vars.number("ATLASHUB_MAX_CONNECTIONS", 8..=1_000_000)? as usize,
            admin: vars.number("ATLASHUB_MAX_ADMIN_CONNECTIONS", 8..=1_000_000)? as usize,
            head_timeout: seconds("ATLASHUB_HEADER_TIMEOUT_SECONDS")?,
            idle_timeout: seconds("ATLASHUB_IDLE_TIMEOUT_SECONDS")?,
            write_timeout: seconds("ATLASHUB_WRITE_TIMEOUT_SECONDS")?,
            min_bytes_per_second: vars.number("ATLASHUB_MIN_BYTES_PER_SECOND", 1..=1 << 30)?,
        })
    }

    /// Lowers the limits so that both listeners together stay below the number of files that the process may open.
    /// `reserved` files, but at most half of all files, are for everything else: databases, the object store, plugins.
    /// Each listener keeps at least `MIN_CONNECTIONS`.
    ///
    /// Each listener has its own share, so a full public listener does not affect the admin listener.
    pub fn fit(&mut self, open_files: u64, reserved: usize) {
        let open_files = usize::try_from(open_files).unwrap_or(usize::MAX);
        let available = open_files - reserved.min(open_files / 2);
        self.admin = self.admin.min((available / 4).max(MIN_CONNECTIONS));
        self.public = self.public.min(available.saturating_sub(self.admin).max(MIN_CONNECTIONS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_fit_below_the_number_of_open_files() {
        let check = |open_files, reserved, expected| {
            let mut connections = ConnectionsConfig::from_vars(&Vars::default()).unwrap();
            connections.fit(open_files, reserved);
            assert_eq!((connections.public, connections.admin), expected, "{open_files} {reserved}");
        };
        check(1 << 20, 400, (2048, 256));
        check(u64::MAX, 400, (2048, 256));
        check(1024, 400, (468, 156));
        // At most half of the files are reserved.
        check(256, 400, (96, 32));
        check(16, 400, (8, 8));
    }
}
