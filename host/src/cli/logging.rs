//! Sets up the log: one line per event on stderr, as text or JSON.

use std::io::IsTerminal;

use tracing::{Metadata, level_filters::LevelFilter};
use tracing_subscriber::{EnvFilter, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{ConfigError, UnknownVariable, Vars};

/// Targets with their maximum level: crates that log statements, values, headers or keys at verbose levels, or messages
/// that are of no use to an operator. `ATLASHUB_LOG` can't raise these levels. The first entry that matches a target
/// applies.
const MAX_LEVELS: &[(&str, LevelFilter)] = &[
    ("aws_config", LevelFilter::WARN),
    ("aws_runtime", LevelFilter::WARN),
    ("aws_sdk_s3", LevelFilter::WARN),
    ("aws_sigv4", LevelFilter::WARN),
    // Warns that the SDK's older HTTP client is missing. The object store's client deliberately uses another one.
    ("aws_smithy_runtime::client::defaults", LevelFilter::ERROR),
    ("aws_smithy_", LevelFilter::WARN),
    ("h2", LevelFilter::WARN),
    ("hyper", LevelFilter::WARN),
    ("postgres", LevelFilter::WARN),
    ("reqwest", LevelFilter::WARN),
    ("rustls", LevelFilter::WARN),
    // Logs every 404 as an error. The store logs its failures itself.
    ("s3s", LevelFilter::OFF),
    // Warns about slow statements with their SQL, which may contain a role's password.
    ("sqlx", LevelFilter::ERROR),
    // Logs its own start at INFO, which is of no use to an operator.
    ("tokio_cron_scheduler", LevelFilter::WARN),
    ("tokio_postgres", LevelFilter::WARN),
    ("tower", LevelFilter::WARN),
];

/// Starts logging, and warns about unknown environment variables.
pub(super) fn start(vars: &Vars, json: bool, default_filter: &str) -> Result<(), ConfigError> {
    let text = vars.text_or("ATLASHUB_LOG", default_filter)?;
    let filter = EnvFilter::builder().parse(&text).map_err(|error| {
        ConfigError::new(
            "ATLASHUB_LOG",
            format!("is `{text}` ({error})"),
            "set it to a filter such as info,atlashub=debug",
        )
    })?;
    let registry = tracing_subscriber::registry().with(filter).with(filter_fn(is_allowed));
    let started = if json {
        registry.with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr)).try_init()
    } else {
        let ansi = std::io::stderr().is_terminal();
        registry.with(fmt::layer().with_ansi(ansi).with_writer(std::io::stderr)).try_init()
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging was already set up");
    }
    for UnknownVariable { name, similar } in vars.unknown() {
        tracing::warn!(name, similar = similar.as_deref(), "an environment variable is not known, so it has no effect");
    }
    Ok(())
}

fn is_allowed(metadata: &Metadata<'_>) -> bool {
    max_level(metadata.target()).is_none_or(|max| *metadata.level() <= max)
}

fn max_level(target: &str) -> Option<LevelFilter> {
    MAX_LEVELS.iter().find(|(crates, _)| target.starts_with(crates)).map(|(_, level)| *level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_targets_have_a_maximum_level() {
        assert_eq!(max_level("tokio_postgres::query"), Some(LevelFilter::WARN));
        assert_eq!(max_level("tokio_cron_scheduler::scheduler"), Some(LevelFilter::WARN));
        assert_eq!(max_level("sqlx::query"), Some(LevelFilter::ERROR));
        assert_eq!(max_level("aws_smithy_runtime::client::orchestrator"), Some(LevelFilter::WARN));
        assert_eq!(max_level("aws_smithy_runtime::client::defaults"), Some(LevelFilter::ERROR));
        assert_eq!(max_level("s3s::service"), Some(LevelFilter::OFF));
        assert_eq!(max_level("atlashub::data"), None);
    }
}
