//! Texts about channels and their events.

use api_types::{ChannelKind, NotificationChannel, NotificationEvent};

use super::tested;

/// The events: label and explanation in the form, and name in the list.
pub(super) const EVENTS: [(NotificationEvent, &str, &str, &str); 7] = [
    (NotificationEvent::RunFailed, "A run fails", "After its last attempt", "failed runs"),
    (NotificationEvent::RunRecovered, "A run succeeds again", "After it had failed", "recovered runs"),
    (NotificationEvent::BackupFailed, "A backup fails", "", "failed backups"),
    (NotificationEvent::BackupDone, "A backup is done", "One message for each backup", "finished backups"),
    (
        NotificationEvent::PluginRejected,
        "A plugin is rejected",
        "For example because its signature is not valid",
        "rejected plugins",
    ),
    (NotificationEvent::DiskLow, "The disk is nearly full", "", "a nearly full disk"),
    (NotificationEvent::Plugin, "A plugin sends a message", "", "messages from plugins"),
];

/// Returns the events that are chosen for a new channel: all except finished backups.
pub(super) fn preset() -> Vec<NotificationEvent> {
    EVENTS.iter().map(|(event, ..)| *event).filter(|event| *event != NotificationEvent::BackupDone).collect()
}

pub(super) fn kind_in_words(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Webhook => "Webhook",
        ChannelKind::Discord => "Discord",
        ChannelKind::Email => "E-mail",
    }
}

/// Returns a list of events in words: `Failed runs, failed backups`, or `Everything`.
pub(super) fn events_in_words(events: &[NotificationEvent]) -> String {
    if EVENTS.iter().all(|(event, ..)| events.contains(event)) {
        return "Everything".to_owned();
    }
    let named: Vec<&str> =
        EVENTS.iter().filter(|(event, ..)| events.contains(event)).map(|(_, _, _, words)| *words).collect();
    let words = named.join(", ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Returns where a channel's messages are sent, without the secret parts of a URL.
pub(super) fn destination(channel: &NotificationChannel) -> String {
    match channel.kind {
        ChannelKind::Email => channel.settings.to.clone().unwrap_or_default().join(", "),
        ChannelKind::Webhook | ChannelKind::Discord => channel.settings.url.clone().unwrap_or_default(),
    }
}

/// Returns whether a channel sends a message at an event.
pub(super) fn reports(channel: &NotificationChannel, event: NotificationEvent) -> bool {
    channel.enabled && channel.events.contains(&event)
}

/// Returns whether it is unknown if a channel works, because nothing was sent through it yet, not even a test.
pub(super) fn is_untested(channel: &NotificationChannel) -> bool {
    channel.last_sent_at.is_none() && channel.last_error.is_none() && !tested::was_tested(&channel.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_channel_reports_failures_and_not_each_backup() {
        assert!(preset().contains(&NotificationEvent::BackupFailed));
        assert!(!preset().contains(&NotificationEvent::BackupDone));
        assert_eq!(
            events_in_words(&[NotificationEvent::BackupFailed, NotificationEvent::RunFailed]),
            "Failed runs, failed backups"
        );
        assert_eq!(events_in_words(NotificationEvent::ALL), "Everything");
    }
}
