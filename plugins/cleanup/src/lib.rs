//! Removes data that the platform no longer needs.
//!
//! The host defines which data each sweep removes. This plugin decides which sweeps run and with which minimum age, and
//! repeats each sweep until nothing is left to remove, or until a call removes nothing.

mod policy;

use atlashub_plugin_sdk::{maintenance, prelude::*, progress};

use policy::{Policy, Step};

/// Result of one sweep.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Swept {
    sweep: &'static str,
    removed: u64,
    freed_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Cleaned {
    removed: u64,
    freed_bytes: u64,
    sweeps: Vec<Swept>,
}

async fn cleanup(_run: Run, policy: Policy) -> Result<Cleaned> {
    let steps = policy.steps();
    let total = steps.len() as u64;
    let mut sweeps = Vec::with_capacity(steps.len());
    let mut errors = Vec::new();
    for (index, step) in steps.into_iter().enumerate() {
        progress::report(index as u64, Some(total), step.name);
        let mut swept = Swept { sweep: step.name, ..Swept::default() };
        if let Err(error) = run_sweep(&step, &mut swept).await {
            error!("{} failed: {error}", step.name);
            swept.error = Some(error.message.clone());
            errors.push(error);
        } else if swept.removed > 0 {
            info!("{}: removed {}", step.name, swept.removed; freed_bytes = swept.freed_bytes);
        }
        sweeps.push(swept);
    }
    progress::report(total, Some(total), "done");
    let cleaned = Cleaned {
        removed: sweeps.iter().map(|swept| swept.removed).sum(),
        freed_bytes: sweeps.iter().map(|swept| swept.freed_bytes).sum(),
        sweeps,
    };
    finish(cleaned, errors, total)
}

/// Returns the result, or an error if any sweep failed. The error allows a retry if one of the failures does. The other
/// sweeps have run, so the error's details contain their results.
fn finish(cleaned: Cleaned, mut errors: Vec<Error>, total: u64) -> Result<Cleaned> {
    if errors.is_empty() {
        return Ok(cleaned);
    }
    let index = errors.iter().position(Error::allows_retry).unwrap_or(0);
    let error = errors.swap_remove(index);
    let failed: Vec<&str> =
        cleaned.sweeps.iter().filter(|swept| swept.error.is_some()).map(|swept| swept.sweep).collect();
    let error = error.context(format!("{} of {total} sweeps failed ({})", failed.len(), failed.join(", ")));
    Err(error.with_details(serde_json::to_value(&cleaned)?))
}

/// Repeats a sweep until nothing is left to remove, or until a call removes nothing.
async fn run_sweep(step: &Step, swept: &mut Swept) -> Result<()> {
    loop {
        let report = maintenance::run(step.sweep).await?;
        swept.removed += report.removed;
        swept.freed_bytes += report.freed_bytes;
        if !report.more {
            return Ok(());
        }
        if report.removed == 0 {
            // Repeating the sweep would return the same result forever.
            warn!("{} reports more items but removed none", step.name);
            return Ok(());
        }
    }
}

/// Describes the plugin.
pub fn plugin() -> Plugin {
    Plugin::new("cleanup", env!("CARGO_PKG_VERSION"), 1)
        .publisher("AtlasHub")
        .description("Removes data that the platform no longer needs.")
        .job(
            "cleanup",
            "Removes expired uploads, old runs and logs, expired sessions and keys, and old audit log entries.",
            cleanup,
        )
        .capability(
            Capability::Maintenance,
            "To remove unused uploads, old runs and logs, ended sessions, expired keys and old audit log entries.",
            Scope::default(),
        )
        .limits(Limits { memory_mib: 16, cpu_seconds: 30, host_call_mib: 16, concurrent_runs: 1, ..Limits::default() })
}

atlashub_plugin_sdk::export!(plugin);

#[cfg(test)]
mod tests {
    use super::*;
    use atlashub_plugin_sdk::{
        maintenance::{Report, Sweep},
        testing::TestHost,
    };

    fn report(removed: u64, more: bool) -> Report {
        Report { removed, freed_bytes: removed * 10, more }
    }

    #[test]
    fn sweep_repeats_while_there_is_more() {
        let host =
            TestHost::new(plugin()).sweep(Sweep::OrphanLogs, &[report(100, true), report(100, true), report(3, false)]);
        let cleaned = host.run("cleanup", json!({})).unwrap();
        assert_eq!(cleaned["removed"], 203);
        assert_eq!(cleaned["freedBytes"], 2030);
        assert_eq!(host.sweeps().iter().filter(|sweep| matches!(sweep, Sweep::OrphanLogs)).count(), 3);
    }

    #[test]
    fn sweep_that_removes_nothing_is_not_repeated() {
        let host = TestHost::new(plugin()).sweep(Sweep::OrphanMetadata, &[report(0, true), report(0, true)]);
        host.run("cleanup", json!({})).unwrap();
        assert_eq!(host.sweeps().iter().filter(|sweep| matches!(sweep, Sweep::OrphanMetadata)).count(), 1);
        assert!(host.log().iter().any(|line| line.message.contains("orphanMetadata")));
    }

    #[test]
    fn failing_sweep_fails_run_after_running_the_others() {
        let first = format!("{:?}", Sweep::ExpiredUploads);
        let host = TestHost::new(plugin())
            .fail_next("maintenance.run", &first, Error::unavailable("no store"))
            .sweep(Sweep::OrphanLogs, &[report(2, false)]);
        let error = host.run("cleanup", json!({})).unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable);
        assert!(error.message.contains("expiredUploads"), "{}", error.message);
        assert_eq!(error.details.unwrap()["removed"], 2);
        assert_eq!(host.progress().last().unwrap().done, 7);
    }

    #[test]
    fn run_is_retried_if_any_failed_sweep_can_succeed_later() {
        let [first, second] = [Sweep::ExpiredUploads, Sweep::OrphanLogs].map(|sweep| format!("{sweep:?}"));
        for later in [Error::unavailable("no store"), Error::failed("no store")] {
            let host = TestHost::new(plugin())
                .fail_next("maintenance.run", &first, Error::invalid("not allowed"))
                .fail_next("maintenance.run", &second, later);
            let error = host.run("cleanup", json!({})).unwrap_err();
            assert!(error.allows_retry(), "{error}");
            assert!(error.message.contains("2 of 7 sweeps failed"), "{}", error.message);
            assert!(error.message.contains("no store"), "{}", error.message);
        }
    }
}
