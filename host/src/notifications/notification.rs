//! A notification, and the message that channels send for it.

use api_types::NotificationEvent;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

const MAX_TITLE_LENGTH: usize = 200;
const MAX_MESSAGE_LENGTH: usize = 4000;
const MAX_FIELDS: usize = 20;
const MAX_FIELD_NAME_LENGTH: usize = 100;
const MAX_FIELD_VALUE_LENGTH: usize = 1000;
const MAX_LINK_BYTES: usize = 2000;

/// A message to the owner. Must not contain secrets, because it is stored and sent to other services.
///
/// After a notification was sent, those with the same event, project and title are collected for ten minutes, and then
/// sent as one further message with their number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    pub event: NotificationEvent,
    /// Id of the project that the notification concerns.
    pub project: Option<String>,
    /// One line, for example `Job "nightly" failed`.
    pub title: String,
    pub message: String,
    /// URL of a page with details.
    pub link: Option<String>,
    /// Names and values, for example `attempt` and `3`.
    pub fields: Vec<(String, String)>,
}

impl Notification {
    pub fn new(event: NotificationEvent, title: impl Into<String>, message: impl Into<String>) -> Self {
        Self { event, project: None, title: title.into(), message: message.into(), link: None, fields: Vec::new() }
    }

    /// Sets the project that the notification concerns.
    pub fn with_project(mut self, project: Option<String>) -> Self {
        self.project = project;
        self
    }

    /// Appends a field.
    pub fn with_field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Truncates strings and the list of fields, removes control characters (except line breaks and tabs in the message
    /// and in values), puts the title and names on one line, and drops empty fields and links that are not valid. An
    /// empty title becomes the name of the event.
    pub(super) fn normalized(mut self) -> Self {
        self.title = truncate(&one_line(&self.title), MAX_TITLE_LENGTH);
        if self.title.is_empty() {
            self.title = self.event.to_string();
        }
        self.message = truncate(&printable(&self.message), MAX_MESSAGE_LENGTH);
        self.fields.truncate(MAX_FIELDS);
        for (name, value) in &mut self.fields {
            *name = truncate(&one_line(name), MAX_FIELD_NAME_LENGTH);
            *value = truncate(&printable(value), MAX_FIELD_VALUE_LENGTH);
        }
        self.fields.retain(|(name, value)| !name.is_empty() && !value.is_empty());
        self.link = self.link.filter(|link| {
            let parsed = url::Url::parse(link);
            link.len() <= MAX_LINK_BYTES && parsed.is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        });
        self
    }

    /// Returns a key that is the same for notifications that are merged.
    pub(super) fn merge_key(&self) -> String {
        format!("{}\n{}\n{}", self.event, self.project.as_deref().unwrap_or_default(), self.title)
    }
}

/// A notification in the form that channels send.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// Id of the delivery. It stays the same when the delivery is retried.
    pub id: uuid::Uuid,
    /// The name of the event, or `test`.
    pub event: &'static str,
    pub notification: Notification,
    pub project_name: Option<String>,
    /// Number of merged notifications.
    pub occurrences: i32,
    pub first_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
}

impl Message {
    /// Returns the message that tests a channel.
    pub(super) fn test(channel: &str) -> Self {
        let now = Utc::now();
        let text = "If you can read this, the channel works.";
        Self {
            id: uuid::Uuid::now_v7(),
            event: "test",
            notification: Notification::new(NotificationEvent::Plugin, format!("Test of channel {channel}"), text)
                .normalized(),
            project_name: None,
            occurrences: 1,
            first_at: now,
            last_at: now,
        }
    }

    /// Returns the title, with the number of occurrences if there are several.
    pub(super) fn headline(&self) -> String {
        if self.occurrences > 1 {
            format!("{} ({} times)", self.notification.title, self.occurrences)
        } else {
            self.notification.title.clone()
        }
    }

    /// Returns the message, followed by the period of its occurrences if there are several.
    pub(super) fn text(&self) -> String {
        let mut text = self.notification.message.clone();
        if self.occurrences > 1 {
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            let (first, last) = (self.first_at.format("%F %T"), self.last_at.format("%F %T"));
            text.push_str(&format!("{} times from {first} to {last} UTC; this is the most recent.", self.occurrences));
        }
        text
    }

    /// Returns the fields, starting with the project.
    pub(super) fn fields(&self) -> Vec<(&str, &str)> {
        let project = self.project_name.as_deref().or(self.notification.project.as_deref());
        let project = project.map(|name| ("project", name));
        let fields = self.notification.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        project.into_iter().chain(fields).collect()
    }
}

/// Truncates a string that is longer than `max_length` UTF-16 units, and ends it with `…`. Receivers count in these
/// units.
pub(super) fn truncate(text: &str, max_length: usize) -> String {
    let mut units = 0;
    for (at, character) in text.char_indices() {
        units += character.len_utf16();
        if units > max_length {
            let mut kept = &text[..at];
            while kept.chars().map(char::len_utf16).sum::<usize>() + 1 > max_length {
                let Some(last) = kept.chars().next_back() else { break };
                kept = &kept[..kept.len() - last.len_utf8()];
            }
            return format!("{kept}…");
        }
    }
    text.to_owned()
}

fn printable(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    text.chars().filter(|character| !character.is_control() || matches!(character, '\n' | '\t')).collect()
}

fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_truncated_and_control_characters_removed() {
        let mut notification = Notification::new(NotificationEvent::RunFailed, "a\r\nsubject: b\0", "x\0\r\ny");
        notification.link = Some("javascript:x".into());
        notification.fields = vec![("n\n".into(), "v".into()), ("empty".into(), String::new())];
        let kept = notification.normalized();
        assert_eq!((kept.title.as_str(), kept.message.as_str(), kept.link), ("a subject: b", "x\ny", None));
        assert_eq!(kept.fields, [("n".to_owned(), "v".to_owned())]);
        let long = Notification::new(NotificationEvent::Plugin, "é".repeat(500), "😀".repeat(5000)).normalized();
        assert_eq!(long.title.encode_utf16().count(), MAX_TITLE_LENGTH);
        assert!(long.message.encode_utf16().count() <= MAX_MESSAGE_LENGTH && long.message.ends_with("😀…"));
        assert_eq!(Notification::new(NotificationEvent::Plugin, " \n", "").normalized().title, "plugin");
        assert_eq!(
            (truncate("abc", 3).as_str(), truncate("abcd", 3).as_str(), truncate("😀😀", 2).as_str()),
            ("abc", "ab…", "…")
        );
    }
}
