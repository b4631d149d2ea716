//! Starts runs through the admin API and measures them.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::platform::Platform;

const TIMEOUT: Duration = Duration::from_secs(1800);
/// Time between two requests for the state of a run. These requests take processor time from the run, so they are rare.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Sends a request that starts a run, and waits for its end. Returns the response, and the time from the request to the
/// end that the server recorded. Both clocks are those of this machine.
pub async fn measure(platform: &Platform, path: &str, request: &Value) -> Result<(Value, Duration)> {
    let begin: DateTime<Utc> = SystemTime::now().into();
    let started = platform.admin_post(path, request).await?;
    let path = format!("/admin/v1/runs/{}", started["runId"].as_str().context("the response has no run ID")?);
    loop {
        let run = platform.admin_get(&path).await?;
        match run["status"].as_str() {
            Some("queued" | "running") => {}
            Some("success") => {
                let end = run["finishedAt"].as_str().context("the run has no `finishedAt`")?;
                let elapsed = end.parse::<DateTime<Utc>>()? - begin;
                return Ok((started, elapsed.to_std().context("the clock was set back")?));
            }
            _ => bail!("the run failed: {run}"),
        }
        let elapsed = (DateTime::from(SystemTime::now()) - begin).to_std().unwrap_or_default();
        ensure!(elapsed < TIMEOUT, "the run did not finish in time: {run}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
