//! Sends messages to Discord.

use api_types::NotificationEvent;
use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::{ChannelError, TIMEOUT, check_response};
use crate::{
    config::Secret,
    egress::{Egress, EgressBody, EgressHeader, EgressRequest},
    notifications::notification::{Message, truncate},
};

// Discord's limits of an embed, in UTF-16 units: https://discord.com/developers/docs/resources/message#embed-object
const MAX_TITLE_LENGTH: usize = 256;
const MAX_DESCRIPTION_LENGTH: usize = 4096;
const MAX_FIELDS: usize = 25;
const MAX_FIELD_NAME_LENGTH: usize = 256;
const MAX_FIELD_VALUE_LENGTH: usize = 1024;
const MAX_TOTAL_LENGTH: usize = 6000;
const FOOTER: &str = "AtlasHub";

const GREEN: u32 = 0x2e_a0_43;
const RED: u32 = 0xda_36_33;
const AMBER: u32 = 0xd2_99_22;
const BLUE: u32 = 0x2f_81_f7;

/// Posts the message as an embed that mentions nobody.
pub(super) async fn send(url: &Secret, message: &Message, egress: &Egress) -> Result<(), ChannelError> {
    let body = json!({
        "username": "AtlasHub",
        "allowed_mentions": { "parse": [] },
        "embeds": [embed(message)],
    });
    let mut request = EgressRequest::new("POST", url.expose());
    request.headers = vec![EgressHeader::new("content-type", "application/json")];
    request.body = Some(EgressBody(body.to_string().into()));
    request.timeout = TIMEOUT;
    request.max_bytes = 16 << 10;
    let response = egress.only(url.expose())?.send(request, &["*".to_owned()]).await?;
    let body: Option<Value> = serde_json::from_slice(&response.body).ok();
    let reason = body.as_ref().and_then(|body| body["message"].as_str()).map(|reason| truncate(reason, 200));
    check_response(&response, reason)
}

fn embed(message: &Message) -> Value {
    let notification = &message.notification;
    let title = truncate(&message.headline(), MAX_TITLE_LENGTH);
    let description = truncate(&message.text(), MAX_DESCRIPTION_LENGTH);
    let units = |text: &str| text.encode_utf16().count();
    let mut remaining = MAX_TOTAL_LENGTH - units(&title) - units(&description) - units(FOOTER);
    let mut fields = Vec::new();
    for (name, value) in message.fields().into_iter().take(MAX_FIELDS) {
        let (name, value) = (truncate(name, MAX_FIELD_NAME_LENGTH), truncate(value, MAX_FIELD_VALUE_LENGTH));
        let size = units(&name) + units(&value);
        if size > remaining {
            break;
        }
        remaining -= size;
        fields.push(json!({ "name": name, "value": value, "inline": size < 60 }));
    }
    let mut embed = json!({
        "title": title,
        "description": description,
        "color": color_of(notification.event, message.event),
        "fields": fields,
        "footer": { "text": FOOTER },
        "timestamp": message.last_at.to_rfc3339_opts(SecondsFormat::Millis, true),
    });
    if let Some(link) = &notification.link {
        embed["url"] = json!(link);
    }
    embed
}

fn color_of(event: NotificationEvent, name: &str) -> u32 {
    match event {
        _ if name == "test" => BLUE,
        NotificationEvent::RunFailed | NotificationEvent::BackupFailed => RED,
        NotificationEvent::RunRecovered | NotificationEvent::BackupDone => GREEN,
        NotificationEvent::PluginRejected | NotificationEvent::DiskLow => AMBER,
        NotificationEvent::Plugin => BLUE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifications::Notification;

    #[test]
    fn embed_stays_within_discords_limits() {
        let mut message = Message::test("x");
        let (title, text) = ("t😀".repeat(400), "m😀".repeat(4000));
        let mut notification = Notification::new(NotificationEvent::RunFailed, title, text);
        for number in 0..40 {
            notification = notification.with_field(format!("{number}").repeat(200), "v".repeat(3000));
        }
        message.occurrences = 12;
        message.notification = notification;
        let embed = embed(&message);
        let units = |value: &Value| value.as_str().unwrap().encode_utf16().count();
        let fields = embed["fields"].as_array().unwrap();
        assert!(units(&embed["title"]) <= 256 && units(&embed["description"]) <= 4096);
        assert!(!fields.is_empty() && fields.len() <= 25);
        assert!(fields.iter().all(|field| units(&field["name"]) <= 256 && units(&field["value"]) <= 1024));
        let all: usize = fields.iter().map(|field| units(&field["name"]) + units(&field["value"])).sum();
        assert!(units(&embed["title"]) + units(&embed["description"]) + all + FOOTER.len() <= 6000);
    }
}
