//! Logs the causes of failed host calls, each kind once per run.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// Failures of the host's services during one run. The first failure of each kind is logged. Further ones are only
/// counted, so that a loop can't fill the server's log.
#[derive(Debug, Default)]
pub struct LoggedFailures {
    repeated: Mutex<BTreeMap<&'static str, u64>>,
}

/// The cause of a failed call, for the server's log. It may contain addresses and paths, which the guest must not see.
#[derive(Debug)]
pub struct FailureCause {
    /// The service that failed, for example `object store`.
    pub kind: &'static str,
    pub cause: String,
}

impl LoggedFailures {
    /// Logs the failure if it is the first of its kind, otherwise counts it.
    pub(super) fn record(&self, run: &dyn std::fmt::Display, plugin: &str, failure: &FailureCause) {
        let FailureCause { kind, cause } = failure;
        let is_first = {
            let mut repeated = self.repeated.lock();
            let count = repeated.get_mut(kind).map(|count| *count += 1);
            count.is_none() && repeated.insert(kind, 0).is_none()
        };
        if is_first {
            tracing::warn!(%run, plugin, kind, cause, "a plugin's call failed; repetitions in this run are counted");
        }
    }

    /// Logs the number of repetitions of each kind of failure. Called at the end of the run.
    pub(super) fn log_repeated(&self, run: &dyn std::fmt::Display, plugin: &str) {
        for (kind, repeated) in std::mem::take(&mut *self.repeated.lock()) {
            if repeated > 0 {
                tracing::warn!(%run, plugin, kind, repeated, "a plugin's calls failed repeatedly");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use super::*;

    /// Collects the log lines.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn failure_is_logged_once_per_kind_and_repetitions_are_counted() {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            let failures = LoggedFailures::default();
            for kind in ["database", "object store"] {
                for _ in 0..4000 {
                    failures.record(&"run-1", "greedy", &FailureCause { kind, cause: "refused".to_owned() });
                }
            }
            failures.log_repeated(&"run-1", "greedy");
        });
        let log = String::from_utf8(written.0.lock().clone()).unwrap();
        assert_eq!(log.matches("refused").count(), 2, "{log}");
        assert_eq!(log.matches("repeated=3999").count(), 2, "{log}");
        assert_eq!(log.lines().count(), 4, "{log}");
    }
}
