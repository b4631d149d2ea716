//! Checks a URL and notifies the owner when it goes down or comes back up.
//!
//! Shows how to constrain parameters in the schema, send requests, keep an object between runs, and notify the owner.

use std::time::Duration;

use atlashub_plugin_sdk::{clock, http::Request, notify, objects, prelude::*};

/// The platform's bucket. Keys in this store must start with `backups/`.
const STORE: &str = "backups";

/// Maximum size of a state object, in bytes. The object contains only a few bytes.
const MAX_STATE_BYTES: usize = 1024;

/// Parameters of the job `check`. Doc comments become descriptions in the dashboard's form.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CheckParams {
    /// Name of the check: 1 to 40 lowercase letters, digits and hyphens. Checks with the same name share their state.
    #[schemars(regex(pattern = r"^[a-z0-9-]{1,40}$"))]
    name: String,
    /// Absolute `http` or `https` URL.
    #[schemars(regex(pattern = r"^https?://"))]
    url: String,
    /// Status that means that the URL is up. If null, 200 to 299.
    #[serde(default)]
    #[schemars(range(min = 100, max = 599))]
    expect_status: Option<u16>,
    /// Time to wait for the response, in milliseconds.
    #[serde(default = "default_timeout_ms")]
    #[schemars(range(min = 100, max = 60_000))]
    timeout_ms: u32,
}

fn default_timeout_ms() -> u32 {
    10_000
}

/// Result of the job `check`. It is kept in the run history.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckResult {
    up: bool,
    /// Whether the state differs from that of the previous run. In the first run, whether the URL is down.
    changed: bool,
    /// The reason why the URL is down. Null if it is up.
    reason: Option<String>,
    duration_ms: u64,
}

async fn check(_run: Run, params: CheckParams) -> Result<CheckResult> {
    let started = clock::monotonic();
    let reason = find_problem(&params).await?;
    let duration_ms = u64::try_from(clock::monotonic().saturating_sub(started).as_millis())?;
    let up = reason.is_none();

    let key = format!("backups/uptime-check/{}.txt", params.name);
    // A URL without a state is treated as up, so that a check that starts with a failure notifies the owner.
    let was_up = read_state(&key).await?.unwrap_or(true);
    let changed = up != was_up;
    if changed {
        let (title, message) = match &reason {
            Some(reason) => (format!("{} is down", params.name), format!("{}: {reason}", params.url)),
            None => (format!("{} is up again", params.name), params.url.clone()),
        };
        warn!("{title}: {message}");
        // Notify before storing the state. If the run stops in between, the next run repeats the notification; in the
        // other order it would be lost.
        notify::send(&title, &message).await?;
        objects::put_bytes(STORE, &key, "text/plain", if up { "up" } else { "down" }.into()).await?;
    }
    info!("Checked {}", params.url; up = up, duration_ms = duration_ms);
    Ok(CheckResult { up, changed, reason, duration_ms })
}

/// Requests the URL. Returns the reason why it is down, or `None` if it is up.
///
/// If the host is unreachable or responds too late, the URL is down. Other errors, such as a host that is not granted,
/// fail the run.
async fn find_problem(params: &CheckParams) -> Result<Option<String>> {
    let timeout = Duration::from_millis(params.timeout_ms.into());
    let response = match Request::new("GET", &params.url).timeout(timeout).send().await {
        Ok(response) => response,
        Err(error) if matches!(error.code, ErrorCode::Unavailable | ErrorCode::Timeout) => {
            return Ok(Some(error.message));
        }
        Err(error) => return Err(error),
    };
    let is_up = match params.expect_status {
        Some(status) => response.status == status,
        None => response.is_success(),
    };
    Ok(if is_up { None } else { Some(format!("the response status was {}", response.status)) })
}

/// Reads whether the URL was up in the previous run. Returns `None` if there is no state yet.
async fn read_state(key: &str) -> Result<Option<bool>> {
    let download = match objects::get(STORE, key).await {
        Ok(download) => download,
        Err(error) if error.code == ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(error.context("reading the previous state")),
    };
    let state = download.body.collect(MAX_STATE_BYTES).await?;
    // The end of the stream alone does not mean that the content is complete.
    download.outcome.wait().await?;
    Ok(Some(state == b"up"))
}

/// Describes the plugin. Increase the serial (the last argument of `new`) with every release.
pub fn plugin() -> Plugin {
    Plugin::new("uptime-check", env!("CARGO_PKG_VERSION"), 1)
        .publisher("AtlasHub examples")
        .description("Checks URLs and notifies the owner when one goes down or comes back up.")
        .job("check", "Checks one URL.", check)
        .capability(
            Capability::Http,
            "To request the URLs of the checks.",
            Scope { hosts: vec!["*".to_owned()], ..Scope::default() },
        )
        .capability(
            Capability::Objects,
            "To store the state of each check.",
            Scope { stores: vec![STORE.to_owned()], ..Scope::default() },
        )
        .capability(Capability::Notify, "To report when a URL goes down or comes back up.", Scope::default())
        .limits(Limits { memory_mib: 16, cpu_seconds: 10, host_call_mib: 8, ..Limits::default() })
}

atlashub_plugin_sdk::export!(plugin);

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use atlashub_plugin_sdk::{http::Response, testing::TestHost};

    use super::*;

    /// Returns a host whose HTTP responses have the status in the cell. Status 0 stands for an unreachable host.
    fn host(status: &Rc<Cell<u16>>) -> TestHost {
        let status = Rc::clone(status);
        TestHost::new(plugin()).handle_http(move |_| match status.get() {
            0 => Err(Error::unavailable("the connection was refused")),
            status => Ok(Response { status, ..Response::default() }),
        })
    }

    fn titles(host: &TestHost) -> Vec<String> {
        host.notifications().into_iter().map(|(title, _)| title).collect()
    }

    #[test]
    fn owner_is_notified_only_when_state_changes() {
        let status = Rc::new(Cell::new(200));
        let host = host(&status);
        let check = || host.run("check", json!({"name": "shop", "url": "https://shop.example/"})).unwrap();
        assert_eq!(check()["changed"], false);
        status.set(503);
        assert_eq!(check()["reason"], "the response status was 503");
        status.set(0);
        assert_eq!(check()["changed"], false);
        status.set(204);
        assert_eq!(check()["changed"], true);
        assert_eq!(titles(&host), ["shop is down", "shop is up again"]);
    }

    #[test]
    fn first_check_that_fails_notifies_owner() {
        let host = host(&Rc::new(Cell::new(0)));
        host.run("check", json!({"name": "shop", "url": "https://shop.example/"})).unwrap();
        let expected = ("shop is down".to_owned(), "https://shop.example/: the connection was refused".to_owned());
        assert_eq!(host.notifications(), [expected]);
    }

    #[test]
    fn expected_status_replaces_the_default() {
        let host = host(&Rc::new(Cell::new(401)));
        let params = json!({"name": "shop", "url": "https://shop.example/", "expectStatus": 401});
        assert_eq!(host.run("check", params).unwrap()["up"], true);
    }

    #[test]
    fn host_that_is_not_granted_fails_the_run() {
        let denied = Error::new(ErrorCode::Denied, "shop.example is not granted");
        let host = host(&Rc::new(Cell::new(200))).fail_next("http.send", "", denied);
        let error = host.run("check", json!({"name": "shop", "url": "https://shop.example/"})).unwrap_err();
        assert_eq!(error.code, ErrorCode::Denied);
        assert!(host.notifications().is_empty());
    }
}
