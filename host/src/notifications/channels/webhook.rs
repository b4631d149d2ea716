//! Sends messages to a webhook, with a signature.

use chrono::{DateTime, SecondsFormat, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{ChannelError, TIMEOUT, check_response};
use crate::{
    config::Secret,
    egress::{Egress, EgressBody, EgressHeader, EgressRequest},
    notifications::notification::Message,
};

/// Posts the message as JSON. `x-atlashub-signature: t=<unix seconds>,v1=<hex>` is the HMAC-SHA256 of `<t>.<body>` with
/// the channel's secret. The id of the delivery stays the same on retries.
pub(super) async fn send(
    url: &Secret,
    secret: &Secret,
    message: &Message,
    egress: &Egress,
) -> Result<(), ChannelError> {
    let body = body(message).to_string();
    let signature = signature(secret.expose(), Utc::now().timestamp(), &body);
    let mut request = EgressRequest::new("POST", url.expose());
    request.headers = vec![
        EgressHeader::new("content-type", "application/json"),
        EgressHeader::new("x-atlashub-event", message.event),
        EgressHeader::new("x-atlashub-delivery", message.id.to_string()),
        EgressHeader::secret("x-atlashub-signature", Secret::new(signature)),
    ];
    request.body = Some(EgressBody(body.into()));
    request.timeout = TIMEOUT;
    request.max_bytes = 0;
    let response = egress.only(url.expose())?.send(request, &["*".to_owned()]).await?;
    check_response(&response, None)
}

fn body(message: &Message) -> serde_json::Value {
    let at = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
    let notification = &message.notification;
    let field = |(name, value): &(String, String)| json!({ "name": name, "value": value });
    json!({
        "id": message.id,
        "event": message.event,
        "projectId": notification.project,
        "projectName": message.project_name,
        "title": notification.title,
        "message": notification.message,
        "link": notification.link,
        "fields": notification.fields.iter().map(field).collect::<Vec<_>>(),
        "occurrences": message.occurrences,
        "firstAt": at(message.first_at),
        "lastAt": at(message.last_at),
    })
}

fn signature(secret: &str, at: i64, body: &str) -> String {
    // HMAC hashes keys that are longer than a block.
    let mut block = zeroize::Zeroizing::new([0_u8; 64]);
    if secret.len() <= block.len() {
        block[..secret.len()].copy_from_slice(secret.as_bytes());
    } else {
        block[..32].copy_from_slice(&Sha256::digest(secret));
    }
    let mut mac = Hmac::<Sha256>::new(&(*block).into());
    mac.update(format!("{at}.{body}").as_bytes());
    format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with `printf '1700000000.{}' | openssl dgst -sha256 -hmac <secret>`.
    #[test]
    fn signature_matches_openssl() {
        let check = |secret: &str, expected: &str| {
            assert_eq!(signature(secret, 1_700_000_000, "{}"), format!("t=1700000000,v1={expected}"));
        };
        check("a-secret-of-the-test", "fa1a3f52bc8b8f26370ced32d5ea174425f8b461bda13ff33b49277cc00ff149");
        check(&"long".repeat(40), "170ba9eac99d7329b605c4ccca93b858db09d9459364501126e2ef28751df15c");
    }
}
