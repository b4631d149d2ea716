//! Lines in the run's history. Needs no grant. Use the macros [`debug!`](crate::debug), [`info!`](crate::info),
//! [`warn!`](crate::warn) and [`error!`](crate::error).

use serde_json::{Map, Value};

pub use crate::bindings::atlashub::plugin::log::Level;

/// Adds one line. Lines beyond the run's limit are counted and left out.
pub fn write(level: Level, message: &str, fields: &Map<String, Value>) {
    #[cfg(target_arch = "wasm32")]
    {
        let fields = if fields.is_empty() { String::new() } else { Value::Object(fields.clone()).to_string() };
        crate::bindings::atlashub::plugin::log::write(level, message, &fields);
    }
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::with(|state| {
        let fields = Value::Object(fields.clone());
        state.lines.push(crate::testing::Line { level, message: message.to_owned(), fields });
    });
}

/// What the macros expand to.
#[doc(hidden)]
pub mod expanded {
    pub use serde_json::{Map, json};
}

/// `line!(level, "text {x}", more; field = value, other = value)`
#[doc(hidden)]
#[macro_export]
macro_rules! log_line {
    ($level:expr, $($text:expr),+ $(; $($field:ident = $value:expr),+ $(,)?)?) => {{
        #[allow(unused_mut)]
        let mut fields = $crate::log::expanded::Map::new();
        $($(fields.insert(::std::stringify!($field).into(), $crate::log::expanded::json!($value));)+)?
        $crate::log::write($level, &::std::format!($($text),+), &fields);
    }};
}

/// For whoever looks for a fault: `debug!("Asked {url}"; attempt = 2)`. Fields, after the semicolon, are anything that
/// serializes.
#[macro_export]
macro_rules! debug {
    ($($line:tt)+) => { $crate::log_line!($crate::log::Level::Debug, $($line)+) };
}

/// For everybody who reads the log.
#[macro_export]
macro_rules! info {
    ($($line:tt)+) => { $crate::log_line!($crate::log::Level::Info, $($line)+) };
}

/// Something that somebody should look at, though the run goes on.
#[macro_export]
macro_rules! warn {
    ($($line:tt)+) => { $crate::log_line!($crate::log::Level::Warn, $($line)+) };
}

/// Something that failed.
#[macro_export]
macro_rules! error {
    ($($line:tt)+) => { $crate::log_line!($crate::log::Level::Error, $($line)+) };
}
