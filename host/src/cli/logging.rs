//! The log: one line an event on stderr, as text or JSON.

use std::io::IsTerminal;

use tracing::{Level, Metadata};
use tracing_subscriber::{EnvFilter, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{ConfigError, Vars};

/// Crates that log statements, values, headers or keys at their lower levels, with the most they may say.
/// `ATLASHUB_LOG` can't lift it.
const QUIET: &[(&str, Level)] = &[
    ("aws_config", Level::WARN),
    ("aws_runtime", Level::WARN),
    ("aws_sdk_s3", Level::WARN),
    ("aws_sigv4", Level::WARN),
    ("aws_smithy_", Level::WARN),
    ("h2", Level::WARN),
    ("hyper", Level::WARN),
    ("postgres", Level::WARN),
    ("reqwest", Level::WARN),
    ("rustls", Level::WARN),
    ("s3s", Level::WARN),
    // Warns of slow statements with their text, which may hold a role's password.
    ("sqlx", Level::ERROR),
    ("tokio_postgres", Level::WARN),
    ("tower", Level::WARN),
];

pub(super) fn start(vars: &Vars, json: bool, default_filter: &str) -> Result<(), ConfigError> {
    let text = vars.text_or("ATLASHUB_LOG", default_filter)?;
    let filter = EnvFilter::builder().parse(&text).map_err(|error| {
        ConfigError::new(
            "ATLASHUB_LOG",
            format!("is `{text}` ({error})"),
            "set it to a filter such as info,atlashub=debug",
        )
    })?;
    let registry = tracing_subscriber::registry().with(filter).with(filter_fn(may_say));
    let started = if json {
        registry.with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr)).try_init()
    } else {
        let ansi = std::io::stderr().is_terminal();
        registry.with(fmt::layer().with_ansi(ansi).with_writer(std::io::stderr)).try_init()
    };
    if let Err(error) = started {
        tracing::debug!(%error, "the log was started before");
    }
    Ok(())
}

fn may_say(metadata: &Metadata<'_>) -> bool {
    most(metadata.target()).is_none_or(|most| *metadata.level() <= most)
}

fn most(target: &str) -> Option<Level> {
    QUIET.iter().find(|(crates, _)| target.starts_with(crates)).map(|(_, level)| *level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_that_see_values_are_kept_quiet() {
        assert_eq!(most("tokio_postgres::query"), Some(Level::WARN));
        assert_eq!(most("sqlx::query"), Some(Level::ERROR));
        assert_eq!(most("aws_smithy_runtime::client::orchestrator"), Some(Level::WARN));
        assert_eq!(most("s3s_aws"), Some(Level::WARN));
        assert_eq!(most("atlashub::data"), None);
    }
}
