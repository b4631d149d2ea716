//! Sends a message to a channel, once. `delivery` retries.

mod discord;
mod email;
mod webhook;

use std::time::Duration;

use super::{NotificationState, notification::Message, settings::Settings};
use crate::egress::{EgressError, EgressResponse};

/// Time limit of one HTTP request, from name resolution to the end of the response. It is also the limit for resolving
/// the name of a mail server, and for sending one e-mail.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Bounds of the delay that a channel can ask for.
const MIN_DELAY: Duration = Duration::from_millis(100);
const MAX_DELAY: Duration = Duration::from_secs(3600);

/// The reason why a message could not be sent. The text is for the owner and contains no secret.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{text}")]
pub(super) struct ChannelError {
    pub text: String,
    pub retry: Retry,
}

/// Whether and when to try again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Retry {
    /// A retry would fail in the same way.
    Never,
    Later,
    /// After a delay that the channel asked for.
    After(Duration),
}

/// The result of sending a message: whether it was sent, and the addresses to which it could not be sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Whether at least one address received the message.
    pub any: bool,
    pub failed: Vec<(String, ChannelError)>,
}

impl Sent {
    /// Returns the errors of all addresses that failed, one per line, or `None` if there are none.
    pub(super) fn error(&self) -> Option<String> {
        let lines: Vec<&str> = self.failed.iter().map(|(_, error)| error.text.as_str()).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

impl ChannelError {
    pub(super) fn later(text: impl Into<String>) -> Self {
        Self { text: text.into(), retry: Retry::Later }
    }

    pub(super) fn never(text: impl Into<String>) -> Self {
        Self { text: text.into(), retry: Retry::Never }
    }
}

impl From<EgressError> for ChannelError {
    fn from(error: EgressError) -> Self {
        let mut text = error.to_string();
        if let Some(first) = text.get(..1) {
            text = first.to_uppercase() + &text[1..] + ".";
        }
        if error.is_refusal() { Self::never(text) } else { Self::later(text) }
    }
}

/// Sends a message once. An e-mail channel sends it only to `recipient`, if one is given.
///
/// # Errors
/// Fails if no address received the message and the same [`Retry`] applies to all of them. The message must then be
/// retried as a whole. In all other cases, [`Sent::failed`] lists the addresses that failed.
pub(super) async fn send(
    settings: &Settings,
    message: &Message,
    recipient: Option<&str>,
    state: &NotificationState,
) -> Result<Sent, ChannelError> {
    let sent = match settings {
        Settings::Discord { url } => discord::send(url, message, &state.egress).await,
        Settings::Webhook { url, secret } => webhook::send(url, secret, message, &state.egress).await,
        Settings::Email(settings) => return email::send(settings, message, recipient, state).await,
    };
    sent.map(|()| Sent { any: true, failed: Vec::new() })
}

/// Interprets the response of an HTTP receiver. `reason` is the receiver's error message.
fn check_response(response: &EgressResponse, reason: Option<String>) -> Result<(), ChannelError> {
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    let status = response.status;
    match status {
        200..=299 => Ok(()),
        300..=399 => Err(ChannelError::never(format!(
            "The receiver returned {status}: it redirects to another address. Redirects are not followed, so enter the \
             new address as the channel's URL."
        ))),
        429 => {
            let text = "The receiver returned 429: too many messages.".to_owned();
            Err(ChannelError { text, retry: delay_of(response).map_or(Retry::Later, Retry::After) })
        }
        408 | 425 | 500..=599 => Err(ChannelError::later(format!("The receiver returned {status}{reason}."))),
        _ => Err(ChannelError::never(format!("The receiver returned {status}{reason}."))),
    }
}

/// Returns the delay that a 429 response asks for: Discord's `retry_after` in the body, or the header `retry-after`.
/// Both are in seconds. A date in the header is ignored.
fn delay_of(response: &EgressResponse) -> Option<Duration> {
    let body: Option<serde_json::Value> = serde_json::from_slice(&response.body).ok();
    let seconds = body.as_ref().and_then(|body| body["retry_after"].as_f64());
    let seconds = seconds.or_else(|| response.header("retry-after")?.trim().parse().ok())?;
    let delay = Duration::try_from_secs_f64(seconds).ok()?;
    Some(delay.clamp(MIN_DELAY, MAX_DELAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_status_determines_the_retry() {
        let check = |status: u16, body: &'static str, header: Option<&str>, expected: Option<Retry>| {
            let headers = header.map(|value| ("retry-after".to_owned(), value.to_owned())).into_iter().collect();
            let body = bytes::Bytes::from_static(body.as_bytes());
            let response = EgressResponse { status, headers, body, truncated: false, final_url: String::new() };
            assert_eq!(check_response(&response, None).err().map(|error| error.retry), expected, "{status} {header:?}");
        };
        let after = |seconds| Some(Retry::After(Duration::from_secs_f64(seconds)));
        check(204, "", None, None);
        check(302, "", None, Some(Retry::Never));
        check(404, "", None, Some(Retry::Never));
        check(503, "", None, Some(Retry::Later));
        check(429, "", None, Some(Retry::Later));
        check(429, r#"{"retry_after": 0.65, "global": false}"#, Some("1"), after(0.65));
        check(429, "busy", Some("7"), after(7.0));
        check(429, r#"{"retry_after": 1e300}"#, None, Some(Retry::Later));
        check(429, r#"{"retry_after": 99999}"#, None, after(3600.0));
        check(429, r#"{"retry_after": 0}"#, None, after(0.1));
        check(429, r#"{"retry_after": -1}"#, None, Some(Retry::Later));
    }
}
