use std::time::{Duration, Instant};

use api_types::ChannelSettings;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    NotificationState,
    channels::{self, ChannelError, Retry},
    notification::{Message, event_name},
    queries::{self, BegunDelivery, Settlement},
    settings,
};

/// Channels delivered to at once.
const PARALLEL: usize = 8;
/// Of a claim: longer than a try and recording it may take.
const LEASE_SECONDS: f64 = 60.0;
/// Tries of one delivery; with the pauses between them about two hours.
const MOST_ATTEMPTS: i32 = 8;
const FIRST_PAUSE_SECONDS: f64 = 10.0;
const LONGEST_PAUSE_SECONDS: f64 = 3600.0;
/// How long a channel is left alone after a try that failed: what else waits for it would hardly fare better.
const BREATH_SECONDS: f64 = 5.0;
/// How old a delivery may get while its channel only asks for patience.
const PATIENCE: TimeDelta = TimeDelta::hours(24);
/// How often the outbox is looked at though nobody said that it changed: another node may have died.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
const SHORTEST_SLEEP: Duration = Duration::from_millis(50);
const CLEANUP_PAUSE: Duration = Duration::from_secs(3600);

/// Delivers whatever is due, for as long as the process lives.
pub(super) async fn deliver_what_is_due(state: NotificationState) {
    let mut running = JoinSet::new();
    let mut cleaned_up = None;
    let mut failing = false;
    loop {
        let sleep = match begin_deliveries(&state, &mut running, &mut cleaned_up).await {
            Ok(sleep) => {
                failing = false;
                sleep
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "notifications can't be read; they are delivered once they can");
                }
                failing = true;
                LONGEST_SLEEP / 6
            }
        };
        tokio::select! {
            () = state.notifier.woken() => {}
            Some(_) = running.join_next() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

/// Begins what is due, as far as there is room; answers how long nothing more will be.
async fn begin_deliveries(
    state: &NotificationState,
    running: &mut JoinSet<()>,
    cleaned_up: &mut Option<Instant>,
) -> Result<Duration, sqlx::Error> {
    while running.try_join_next().is_some() {}
    let room = PARALLEL - running.len();
    if room == 0 {
        return Ok(LONGEST_SLEEP);
    }
    let claim = Uuid::new_v4();
    for channel in queries::claim_channels(&state.platform, claim, room as i64, LEASE_SECONDS).await? {
        let state = state.clone();
        running.spawn(async move {
            // What could not be recorded is tried again once the claim ends.
            if let Err(error) = deliver_next(&state, channel, claim).await {
                tracing::warn!(%error, %channel, "how a notification's delivery ended could not be recorded");
            }
        });
    }
    if cleaned_up.is_none_or(|at| at.elapsed() > CLEANUP_PAUSE) {
        queries::remove_old_deliveries(&state.platform).await?;
        *cleaned_up = Some(Instant::now());
    }
    let seconds = queries::seconds_until_due(&state.platform).await?;
    let sleep = seconds.map_or(LONGEST_SLEEP, |seconds| Duration::from_secs_f64(seconds.clamp(0.0, 3600.0)));
    Ok(sleep.clamp(SHORTEST_SLEEP, LONGEST_SLEEP))
}

/// Sends what has been due longest for a claimed channel, and gives the channel back.
async fn deliver_next(state: &NotificationState, channel: Uuid, claim: Uuid) -> Result<(), sqlx::Error> {
    let Some(delivery) = queries::begin_delivery(&state.platform, channel, claim).await? else {
        return queries::release(&state.platform, channel, claim).await;
    };
    let outcome = send(state, channel, &delivery).await;
    let event = event_name(delivery.notification.event);
    let result = if outcome.is_ok() { "sent" } else { "failed" };
    metrics::counter!("atlashub_notification_tries_total", "result" => result).increment(1);
    if let Err(error) = &outcome {
        tracing::warn!(%error, %channel, event, attempt = delivery.attempts, "a notification did not get through");
    }
    let settlement = settlement_of(&outcome, delivery.attempts, delivery.first_at, Utc::now());
    queries::settle(&state.platform, channel, claim, delivery.id, &settlement).await
}

async fn send(state: &NotificationState, channel: Uuid, delivery: &BegunDelivery) -> Result<(), ChannelError> {
    let settings = opened(state, channel, &delivery.sealed).map_err(|error| {
        tracing::error!(error = format!("{error:#}"), %channel, "the settings of a channel can't be opened");
        ChannelError { text: CANT_OPEN.to_owned(), retry: Retry::Later }
    })?;
    let message = Message {
        id: delivery.id,
        event: event_name(delivery.notification.event),
        notification: delivery.notification.0.clone(),
        project_name: delivery.project_name.clone(),
        occurrences: delivery.occurrences,
        first_at: delivery.first_at,
        last_at: delivery.last_at,
    };
    send_message(state, &delivery.kind, settings, &message).await
}

pub(super) const CANT_OPEN: &str = "Its settings can't be opened with the master key in use.";

pub(super) fn opened(state: &NotificationState, channel: Uuid, sealed: &[u8]) -> anyhow::Result<ChannelSettings> {
    settings::open(&state.sealer, channel, sealed)
}

/// Sends one message to a channel of this kind and with these settings.
pub(super) async fn send_message(
    state: &NotificationState,
    kind: &str,
    stored: ChannelSettings,
    message: &Message,
) -> Result<(), ChannelError> {
    let never = |text: String| ChannelError { text, retry: Retry::Never };
    let kind =
        settings::parse_kind(kind).ok_or_else(|| never(format!("This version knows no channels of kind `{kind}`.")))?;
    // Checked when it was stored; the rules may have become stricter since.
    let (settings, _) =
        settings::check(kind, stored, &state.egress).map_err(|error| never(error.message().to_owned()))?;
    channels::send(&settings, message, state).await
}

fn settlement_of<'a>(
    outcome: &'a Result<(), ChannelError>,
    attempts: i32,
    first_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Settlement<'a> {
    let over = |state, error| Settlement { state, error, retry_seconds: 0.0, pause_seconds: None, uncounted: false };
    let error = match outcome {
        Ok(()) => return over("sent", None),
        Err(error) => error,
    };
    let text = Some(error.text.as_str());
    match error.retry {
        Retry::Never => over("failed", text),
        Retry::After(pause) if now - first_at < PATIENCE => Settlement {
            state: "pending",
            error: text,
            retry_seconds: pause.as_secs_f64(),
            pause_seconds: Some(pause.as_secs_f64()),
            uncounted: true,
        },
        Retry::Later if attempts < MOST_ATTEMPTS => Settlement {
            state: "pending",
            error: text,
            retry_seconds: pause_seconds(attempts, rand::random()),
            pause_seconds: Some(BREATH_SECONDS),
            uncounted: false,
        },
        Retry::After(_) | Retry::Later => over("failed", text),
    }
}

/// After so many tries: three times the pause before, up to an hour, a fifth more or less (`chance` from 0 to 1).
fn pause_seconds(attempts: i32, chance: f64) -> f64 {
    let pause = FIRST_PAUSE_SECONDS * 3_f64.powi(attempts - 1);
    pause.min(LONGEST_PAUSE_SECONDS) * (0.8 + 0.4 * chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_spaced_out_and_end() {
        let now = Utc::now();
        let check = |retry: Retry, attempts: i32, age: TimeDelta, state: &str, seconds: std::ops::Range<f64>| {
            let outcome = Err(ChannelError { text: "x".into(), retry });
            let settlement = settlement_of(&outcome, attempts, now - age, now);
            assert_eq!((settlement.state, settlement.error), (state, Some("x")), "{retry:?} {attempts}");
            assert!(seconds.contains(&settlement.retry_seconds), "{retry:?} {attempts}: {}", settlement.retry_seconds);
        };
        let young = TimeDelta::zero();
        check(Retry::Later, 1, young, "pending", 8.0..12.1);
        check(Retry::Later, 2, young, "pending", 24.0..36.1);
        check(Retry::Later, 7, young, "pending", 2880.0..4320.1);
        check(Retry::Later, 8, young, "failed", 0.0..0.1);
        check(Retry::Never, 1, young, "failed", 0.0..0.1);
        check(Retry::After(Duration::from_secs(5)), 1, young, "pending", 5.0..5.1);
        check(Retry::After(Duration::from_secs(5)), 1, TimeDelta::hours(25), "failed", 0.0..0.1);
        assert_eq!(settlement_of(&Ok(()), 3, now, now).state, "sent");
    }
}
