//! Writes to the run's log. Needs no grant.
//!
//! Use the macros [`debug!`](crate::debug), [`info!`](crate::info), [`warn!`](crate::warn) and
//! [`error!`](crate::error). They take the arguments of [`format!`], then optionally a semicolon and fields. A field
//! can be any value that [`serde_json::json!`] accepts:
//!
//! ```no_run
//! use atlashub_plugin_sdk::prelude::*;
//!
//! let name = "report.csv";
//! info!("Stored {name}"; bytes = 12, rows = 3);
//! ```

use serde_json::{Map, Value};

use crate::backend;
pub use crate::bindings::atlashub::plugin::log::Level;

/// Appends one line to the run's log.
///
/// Lines beyond the run's log limit are dropped. The log records how many were dropped.
pub fn write(level: Level, message: &str, fields: &Map<String, Value>) {
    backend::log::write(level, message, fields);
}

/// Used by the expansion of the macros.
#[doc(hidden)]
pub mod expanded {
    use serde_json::{Map, Value};

    pub use serde_json::json;

    pub fn fields<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Writes a log line: `log_line!(level, "text {x}", more; field = value, other = value)`.
#[doc(hidden)]
#[macro_export]
macro_rules! log_line {
    ($level:expr, $($text:expr),+ $(; $($field:ident = $value:expr),+ $(,)?)?) => {
        $crate::log::write(
            $level,
            &::std::format!($($text),+),
            &$crate::log::expanded::fields([
                $($((::std::stringify!($field), $crate::log::expanded::json!($value))),+)?
            ]),
        )
    };
}

/// Logs details for troubleshooting, for example `debug!("Requested {url}"; attempt = 2)`.
#[macro_export]
macro_rules! debug {
    ($($line:tt)+) => { $crate::log_line!($crate::log::Level::Debug, $($line)+) };
}

/// Logs normal operation, for example `info!("Copied {name}"; bytes = 12)`.
#[macro_export]
macro_rules! info {
    ($($line:tt)+) => { $crate::log_line!($crate::log::Level::Info, $($line)+) };
}

/// Logs a problem that did not stop the run.
#[macro_export]
macro_rules! warn {
    ($($line:tt)+) => { $crate::log_line!($crate::log::Level::Warn, $($line)+) };
}

/// Logs a failure.
#[macro_export]
macro_rules! error {
    ($($line:tt)+) => { $crate::log_line!($crate::log::Level::Error, $($line)+) };
}
