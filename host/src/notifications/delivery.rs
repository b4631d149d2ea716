//! Delivers the messages of the outbox, with retries.

use std::time::{Duration, Instant};

use api_types::{ChannelKind, ChannelSettings, DeliveryState};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    NotificationState,
    channels::{self, ChannelError, Retry, Sent},
    notification::Message,
    queries::{self, Attempt, AttemptResult},
    recipients::RecipientResult,
    settings,
};

/// Maximum number of channels that one node serves at once.
const MAX_PARALLEL_CHANNELS: usize = 8;
/// Time for which a node claims a channel to deliver to it. It is longer than an attempt and the recording of its
/// result can take together.
const CLAIM_SECONDS: f64 = 60.0;
/// Maximum number of attempts per delivery. With the delays between them, they take about two hours.
const MAX_ATTEMPTS: i32 = 8;
const FIRST_RETRY_SECONDS: f64 = 10.0;
const MAX_RETRY_SECONDS: f64 = 3600.0;
/// Pause of a channel after a failed attempt that will be repeated, because its other deliveries would likely fail as
/// well.
const CHANNEL_PAUSE_SECONDS: f64 = 5.0;
/// Age at which a delivery fails if its channel keeps asking to wait (status 429).
const MAX_RATE_LIMITED_AGE: TimeDelta = TimeDelta::hours(24);
/// Maximum time between two reads of the outbox, so that this node also finds the deliveries of a node that crashed.
const MAX_SLEEP: Duration = Duration::from_secs(30);
const MIN_SLEEP: Duration = Duration::from_millis(50);
const CLEANUP_INTERVAL: Duration = Duration::from_secs(3600);

/// Delivers due notifications until the process ends.
pub(super) async fn deliver_due(state: NotificationState) {
    let mut running = JoinSet::new();
    let mut cleaned_up = None;
    let mut failing = false;
    loop {
        let sleep = match start_deliveries(&state, &mut running, &mut cleaned_up).await {
            Ok(sleep) => {
                failing = false;
                sleep
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "failed to read the notification outbox; retrying");
                }
                failing = true;
                MAX_SLEEP / 6
            }
        };
        tokio::select! {
            () = state.notifier.wait_for_wake() => {}
            Some(_) = running.join_next() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

/// Starts due deliveries, up to the limit of parallel channels. Returns the time to wait before the next call: until
/// the next delivery is due, but at most [`MAX_SLEEP`].
async fn start_deliveries(
    state: &NotificationState,
    running: &mut JoinSet<()>,
    cleaned_up: &mut Option<Instant>,
) -> Result<Duration, sqlx::Error> {
    while running.try_join_next().is_some() {}
    let free = MAX_PARALLEL_CHANNELS - running.len();
    if free == 0 {
        return Ok(MAX_SLEEP);
    }
    let claim = Uuid::new_v4();
    for channel in queries::claim_channels(&state.platform, claim, free as i64, CLAIM_SECONDS).await? {
        let state = state.clone();
        running.spawn(async move {
            // If the result can't be recorded, the delivery is retried when the claim expires.
            if let Err(error) = deliver_next(&state, channel, claim).await {
                tracing::warn!(%error, %channel, "failed to record the result of a notification delivery");
            }
        });
    }
    if cleaned_up.is_none_or(|at| at.elapsed() > CLEANUP_INTERVAL) {
        queries::remove_old_deliveries(&state.platform).await?;
        *cleaned_up = Some(Instant::now());
    }
    let seconds = queries::seconds_until_due(&state.platform).await?;
    let sleep = seconds.map_or(MAX_SLEEP, |seconds| Duration::from_secs_f64(seconds.clamp(0.0, 3600.0)));
    Ok(sleep.clamp(MIN_SLEEP, MAX_SLEEP))
}

/// Sends the delivery of a claimed channel that has been due for the longest time, and releases the channel.
async fn deliver_next(state: &NotificationState, channel: Uuid, claim: Uuid) -> Result<(), sqlx::Error> {
    let Some(delivery) = queries::start_attempt(&state.platform, channel, claim).await? else {
        return queries::release_channel(&state.platform, channel, claim).await;
    };
    let (sent, now) = (send(state, channel, &delivery).await, Utc::now());
    let event = delivery.notification.event.as_str();
    let is_sent = sent.as_ref().is_ok_and(|sent| sent.failed.is_empty());
    let label = if is_sent { "sent" } else { "failed" };
    metrics::counter!("atlashub_notification_tries_total", "result" => label).increment(1);
    let errors = sent.as_ref().map_or_else(|error| Some(error.text.clone()), Sent::error);
    if let Some(error) = &errors {
        tracing::warn!(error, %channel, event, attempt = delivery.attempts, "failed to deliver a notification");
    }
    let result_of = |error| result_of(error, delivery.attempts, delivery.first_at, now);
    let (mut result, recipients) = match &sent {
        Err(error) => (result_of(Some(error)), Vec::new()),
        // The addresses that failed become deliveries of their own.
        Ok(sent) => {
            let recipients = sent.failed.iter();
            let recipients = recipients
                .map(|(address, error)| RecipientResult { address, result: result_of(Some(error)) })
                .collect();
            let state = if sent.any { DeliveryState::Sent } else { DeliveryState::Failed };
            (AttemptResult { state, error: errors.as_deref(), ..result_of(None) }, recipients)
        }
    };
    if delivery.recipient.is_some() && !result.rate_limited {
        // The channel works for its other addresses.
        result.pause_seconds = None;
    }
    queries::record_attempt(&state.platform, channel, claim, &delivery, &result, &recipients).await
}

async fn send(state: &NotificationState, channel: Uuid, delivery: &Attempt) -> Result<Sent, ChannelError> {
    let settings = settings::open(&state.sealer, channel, &delivery.sealed).map_err(|error| {
        tracing::error!(error = format!("{error:#}"), %channel, "failed to open the settings of a channel");
        ChannelError { text: UNREADABLE_SETTINGS.to_owned(), retry: Retry::Later }
    })?;
    let message = Message {
        id: delivery.id,
        event: delivery.notification.event.as_str(),
        notification: delivery.notification.0.clone(),
        project_name: delivery.project_name.clone(),
        occurrences: delivery.occurrences,
        first_at: delivery.first_at,
        last_at: delivery.last_at,
    };
    send_message(state, delivery.kind, settings, &message, delivery.recipient.as_deref()).await
}

/// The error of a channel whose settings are damaged, or sealed with a key that this node does not have.
pub(super) const UNREADABLE_SETTINGS: &str =
    "The channel's settings can't be opened with the current master key. Enter all of them again.";

/// Sends one message to a channel of the given kind and settings. With `recipient`, sends it only to that e-mail
/// address.
pub(super) async fn send_message(
    state: &NotificationState,
    kind: ChannelKind,
    stored: ChannelSettings,
    message: &Message,
    recipient: Option<&str>,
) -> Result<Sent, ChannelError> {
    // The settings were checked when they were stored, but the rules may have changed since then.
    let (settings, _) =
        settings::check(kind, stored, &state.egress).map_err(|error| ChannelError::never(error.message()))?;
    channels::send(&settings, message, recipient, state).await
}

fn result_of(
    error: Option<&ChannelError>,
    attempts: i32,
    first_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> AttemptResult<'_> {
    let finished =
        |state, error| AttemptResult { state, error, retry_seconds: 0.0, pause_seconds: None, rate_limited: false };
    let Some(error) = error else { return finished(DeliveryState::Sent, None) };
    let text = Some(error.text.as_str());
    match error.retry {
        Retry::Never => finished(DeliveryState::Failed, text),
        Retry::After(pause) if now - first_at < MAX_RATE_LIMITED_AGE => AttemptResult {
            state: DeliveryState::Pending,
            error: text,
            retry_seconds: pause.as_secs_f64(),
            pause_seconds: Some(pause.as_secs_f64()),
            rate_limited: true,
        },
        Retry::Later if attempts < MAX_ATTEMPTS => AttemptResult {
            state: DeliveryState::Pending,
            error: text,
            retry_seconds: retry_seconds(attempts, rand::random()),
            pause_seconds: Some(CHANNEL_PAUSE_SECONDS),
            rate_limited: false,
        },
        Retry::After(_) | Retry::Later => finished(DeliveryState::Failed, text),
    }
}

/// Returns the delay after a failed attempt: it triples with each attempt, up to an hour, plus or minus a fifth
/// (`chance` from 0 to 1).
fn retry_seconds(attempts: i32, chance: f64) -> f64 {
    let pause = FIRST_RETRY_SECONDS * 3_f64.powi(attempts - 1);
    pause.min(MAX_RETRY_SECONDS) * (0.8 + 0.4 * chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_delayed_and_limited() {
        let now = Utc::now();
        let check =
            |retry: Retry, attempts: i32, age: TimeDelta, state: DeliveryState, seconds: std::ops::Range<f64>| {
                let error = ChannelError { text: "x".into(), retry };
                let result = result_of(Some(&error), attempts, now - age, now);
                assert_eq!((result.state, result.error), (state, Some("x")), "{retry:?} {attempts}");
                assert!(seconds.contains(&result.retry_seconds), "{retry:?} {attempts}: {}", result.retry_seconds);
            };
        let young = TimeDelta::zero();
        check(Retry::Later, 1, young, DeliveryState::Pending, 8.0..12.1);
        check(Retry::Later, 2, young, DeliveryState::Pending, 24.0..36.1);
        check(Retry::Later, 7, young, DeliveryState::Pending, 2880.0..4320.1);
        check(Retry::Later, 8, young, DeliveryState::Failed, 0.0..0.1);
        check(Retry::Never, 1, young, DeliveryState::Failed, 0.0..0.1);
        check(Retry::After(Duration::from_secs(5)), 1, young, DeliveryState::Pending, 5.0..5.1);
        check(Retry::After(Duration::from_secs(5)), 1, TimeDelta::hours(25), DeliveryState::Failed, 0.0..0.1);
        assert_eq!(result_of(None, 3, now, now).state, DeliveryState::Sent);
    }
}
