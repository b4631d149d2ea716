use api_types::NotificationEvent;
use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::{ChannelError, TIMEOUT, outcome};
use crate::{
    config::Secret,
    egress::{Egress, EgressBody, EgressHeader, EgressRequest},
    notifications::notification::{Message, cut},
};

// Discord's limits of one embed, in UTF-16 units: https://discord.com/developers/docs/resources/message#embed-object
const MOST_TITLE: usize = 256;
const MOST_DESCRIPTION: usize = 4096;
const MOST_FIELDS: usize = 25;
const MOST_FIELD_NAME: usize = 256;
const MOST_FIELD_VALUE: usize = 1024;
const MOST_IN_ALL: usize = 6000;
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
    let said: Option<Value> = serde_json::from_slice(&response.body).ok();
    let said = said.as_ref().and_then(|said| said["message"].as_str()).map(|said| cut(said, 200));
    outcome(&response, said)
}

fn embed(message: &Message) -> Value {
    let notification = &message.notification;
    let title = cut(&message.headline(), MOST_TITLE);
    let description = cut(&message.text(), MOST_DESCRIPTION);
    let units = |text: &str| text.encode_utf16().count();
    let mut room = MOST_IN_ALL - units(&title) - units(&description) - units(FOOTER);
    let mut fields = Vec::new();
    for (name, value) in message.fields().into_iter().take(MOST_FIELDS) {
        let (name, value) = (cut(name, MOST_FIELD_NAME), cut(value, MOST_FIELD_VALUE));
        let size = units(&name) + units(&value);
        if size > room {
            break;
        }
        room -= size;
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
    fn an_embed_stays_within_discords_limits() {
        let mut message = Message::test("x");
        let mut notification = Notification::new(NotificationEvent::RunFailed, "t😀".repeat(400), "m😀".repeat(4000));
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
