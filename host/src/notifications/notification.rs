use api_types::NotificationEvent;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

const MOST_TITLE: usize = 200;
const MOST_MESSAGE: usize = 4000;
const MOST_FIELDS: usize = 20;
const MOST_FIELD_NAME: usize = 100;
const MOST_FIELD_VALUE: usize = 1000;
const MOST_LINK: usize = 2000;

/// Something the owner may want to hear of. Never holds a secret: it is stored, and sent to others.
///
/// Equal event, project and title within ten minutes make one further message that tells how many there were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    pub event: NotificationEvent,
    /// Id of the project it is about.
    pub project: Option<String>,
    /// One line, for example `Job "nightly" failed`.
    pub title: String,
    pub message: String,
    /// Where more of it can be seen.
    pub link: Option<String>,
    /// Names and values, for example `attempt`, `3`.
    pub fields: Vec<(String, String)>,
}

impl Notification {
    pub fn new(event: NotificationEvent, title: impl Into<String>, message: impl Into<String>) -> Self {
        Self { event, project: None, title: title.into(), message: message.into(), link: None, fields: Vec::new() }
    }

    pub fn of_project(mut self, project: Option<String>) -> Self {
        self.project = project;
        self
    }

    pub fn with_field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Within what is stored: cut to size, without control characters, the title on one line.
    pub(super) fn within_limits(mut self) -> Self {
        self.title = cut(&one_line(&self.title), MOST_TITLE);
        if self.title.is_empty() {
            self.title = event_name(self.event).to_owned();
        }
        self.message = cut(&printable(&self.message), MOST_MESSAGE);
        self.fields.truncate(MOST_FIELDS);
        for (name, value) in &mut self.fields {
            *name = cut(&one_line(name), MOST_FIELD_NAME);
            *value = cut(&printable(value), MOST_FIELD_VALUE);
        }
        self.fields.retain(|(name, value)| !name.is_empty() && !value.is_empty());
        self.link = self.link.filter(|link| {
            let parsed = url::Url::parse(link);
            link.len() <= MOST_LINK && parsed.is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        });
        self
    }

    /// What equal notifications have in common.
    pub(super) fn fold_key(&self) -> String {
        format!("{}\n{}\n{}", event_name(self.event), self.project.as_deref().unwrap_or_default(), self.title)
    }
}

/// As the API and the webhook write it.
pub fn event_name(event: NotificationEvent) -> &'static str {
    match event {
        NotificationEvent::RunFailed => "runFailed",
        NotificationEvent::RunRecovered => "runRecovered",
        NotificationEvent::BackupDone => "backupDone",
        NotificationEvent::BackupFailed => "backupFailed",
        NotificationEvent::PluginRejected => "pluginRejected",
        NotificationEvent::DiskLow => "diskLow",
        NotificationEvent::Plugin => "plugin",
    }
}

/// A notification as a channel shows it.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// Of the delivery: the same when it is tried again.
    pub id: uuid::Uuid,
    /// As [`event_name`] has it, or `test`.
    pub event: &'static str,
    pub notification: Notification,
    pub project_name: Option<String>,
    /// How many notifications it stands for.
    pub occurrences: i32,
    pub first_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
}

impl Message {
    /// What the test button sends.
    pub(super) fn test(channel: &str) -> Self {
        let now = Utc::now();
        let text = "If you can read this, notifications reach you.";
        Self {
            id: uuid::Uuid::now_v7(),
            event: "test",
            notification: Notification::new(NotificationEvent::Plugin, format!("Test of the channel {channel}"), text)
                .within_limits(),
            project_name: None,
            occurrences: 1,
            first_at: now,
            last_at: now,
        }
    }

    /// The title, and how often where that is more than once.
    pub(super) fn headline(&self) -> String {
        if self.occurrences > 1 {
            format!("{} ({} times)", self.notification.title, self.occurrences)
        } else {
            self.notification.title.clone()
        }
    }

    /// The message, then since when it has been repeated.
    pub(super) fn text(&self) -> String {
        let mut text = self.notification.message.clone();
        if self.occurrences > 1 {
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            let (first, last) = (self.first_at.format("%F %T"), self.last_at.format("%F %T"));
            text.push_str(&format!("{} times from {first} to {last} UTC; this is the latest.", self.occurrences));
        }
        text
    }

    /// The fields, the project first.
    pub(super) fn fields(&self) -> Vec<(&str, &str)> {
        let project = self.project_name.as_deref().or(self.notification.project.as_deref());
        let project = project.map(|name| ("project", name));
        let fields = self.notification.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        project.into_iter().chain(fields).collect()
    }
}

/// At most so many UTF-16 units, the way the receivers count, with `…` where something was cut.
pub(super) fn cut(text: &str, most: usize) -> String {
    let mut units = 0;
    for (at, character) in text.char_indices() {
        units += character.len_utf16();
        if units > most {
            let mut kept = &text[..at];
            while kept.chars().map(char::len_utf16).sum::<usize>() + 1 > most {
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
    fn what_is_too_much_is_cut() {
        let mut notification = Notification::new(NotificationEvent::RunFailed, "a\r\nsubject: b\0", "x\0\r\ny");
        notification.link = Some("javascript:x".into());
        notification.fields = vec![("n\n".into(), "v".into()), ("empty".into(), String::new())];
        let kept = notification.within_limits();
        assert_eq!((kept.title.as_str(), kept.message.as_str(), kept.link), ("a subject: b", "x\ny", None));
        assert_eq!(kept.fields, [("n".to_owned(), "v".to_owned())]);
        let long = Notification::new(NotificationEvent::Plugin, "é".repeat(500), "😀".repeat(5000)).within_limits();
        assert_eq!(long.title.encode_utf16().count(), MOST_TITLE);
        assert!(long.message.encode_utf16().count() <= MOST_MESSAGE && long.message.ends_with("😀…"));
        assert_eq!(Notification::new(NotificationEvent::Plugin, " \n", "").within_limits().title, "plugin");
        assert_eq!((cut("abc", 3).as_str(), cut("abcd", 3).as_str(), cut("😀😀", 2).as_str()), ("abc", "ab…", "…"));
    }

    #[test]
    fn events_are_named_as_on_the_wire() {
        use NotificationEvent::{BackupDone, BackupFailed, DiskLow, Plugin, PluginRejected, RunFailed, RunRecovered};
        for event in [RunFailed, RunRecovered, BackupDone, BackupFailed, PluginRejected, DiskLow, Plugin] {
            assert_eq!(serde_json::to_value(event).unwrap(), event_name(event));
        }
    }
}
