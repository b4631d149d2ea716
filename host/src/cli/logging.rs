//! The log: one line an event on stderr, as text or JSON.

use std::io::IsTerminal;

use tracing::{Metadata, level_filters::LevelFilter};
use tracing_subscriber::{EnvFilter, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{ConfigError, Vars};

/// Crates that log statements, values, headers or keys at their lower levels, with the most they may say.
/// `ATLASHUB_LOG` can't lift it.
const QUIET: &[(&str, LevelFilter)] = &[
    ("aws_config", LevelFilter::WARN),
    ("aws_runtime", LevelFilter::WARN),
    ("aws_sdk_s3", LevelFilter::WARN),
    ("aws_sigv4", LevelFilter::WARN),
    ("aws_smithy_", LevelFilter::WARN),
    ("h2", LevelFilter::WARN),
    ("hyper", LevelFilter::WARN),
    ("postgres", LevelFilter::WARN),
    ("reqwest", LevelFilter::WARN),
    ("rustls", LevelFilter::WARN),
    // Calls every 404 an error; the store logs its real failures itself.
    ("s3s", LevelFilter::OFF),
    // Warns of slow statements with their text, which may hold a role's password.
    ("sqlx", LevelFilter::ERROR),
    // Tells of each sweep that it looks at.
    ("tokio_cron_scheduler", LevelFilter::WARN),
    ("tokio_postgres", LevelFilter::WARN),
    ("tower", LevelFilter::WARN),
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

fn most(target: &str) -> Option<LevelFilter> {
    QUIET.iter().find(|(crates, _)| target.starts_with(crates)).map(|(_, level)| *level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_that_see_values_are_kept_quiet() {
        assert_eq!(most("tokio_postgres::query"), Some(LevelFilter::WARN));
        assert_eq!(most("tokio_cron_scheduler::scheduler"), Some(LevelFilter::WARN));
        assert_eq!(most("sqlx::query"), Some(LevelFilter::ERROR));
        assert_eq!(most("aws_smithy_runtime::client::orchestrator"), Some(LevelFilter::WARN));
        assert_eq!(most("s3s::service"), Some(LevelFilter::OFF));
        assert_eq!(most("atlashub::data"), None);
    }
}
