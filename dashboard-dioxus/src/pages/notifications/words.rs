//! Channels in words.

use api_types::{ChannelKind, NotificationChannel, NotificationEvent};

/// The events: what a form calls them, an explanation, and what a list calls them.
pub(super) const EVENTS: [(NotificationEvent, &str, &str, &str); 7] = [
    (NotificationEvent::RunFailed, "A run fails", "After its last attempt", "failed runs"),
    (NotificationEvent::RunRecovered, "A run succeeds again", "After it had failed", "recovered runs"),
    (NotificationEvent::BackupFailed, "A backup fails", "", "failed backups"),
    (NotificationEvent::BackupDone, "A backup is done", "One message for each backup", "finished backups"),
    (
        NotificationEvent::PluginRejected,
        "A plugin is rejected",
        "Its signature or manifest is not valid",
        "rejected plugins",
    ),
    (NotificationEvent::DiskLow, "The disk is nearly full", "", "a nearly full disk"),
    (NotificationEvent::Plugin, "A plugin sends a message", "", "messages of plugins"),
];

/// The events of a new channel: everything but good news that comes every day.
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

/// Returns what a channel hears of: `Failed runs, failed backups`.
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

/// Returns where a channel's messages go, without what is secret.
pub(super) fn destination(channel: &NotificationChannel) -> String {
    match channel.kind {
        ChannelKind::Email => channel.settings.to.clone().unwrap_or_default().join(", "),
        ChannelKind::Webhook | ChannelKind::Discord => channel.settings.url.clone().unwrap_or_default(),
    }
}

/// Returns whether a channel hears when a run or backup fails.
pub(super) fn hears_of_failures(channel: &NotificationChannel) -> bool {
    let failures = [NotificationEvent::RunFailed, NotificationEvent::BackupFailed];
    channel.enabled && failures.iter().any(|failure| channel.events.contains(failure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_channel_hears_of_failures_and_not_of_each_backup() {
        assert!(preset().contains(&NotificationEvent::BackupFailed));
        assert!(!preset().contains(&NotificationEvent::BackupDone));
        assert_eq!(
            events_in_words(&[NotificationEvent::BackupFailed, NotificationEvent::RunFailed]),
            "Failed runs, failed backups"
        );
        assert_eq!(events_in_words(NotificationEvent::ALL), "Everything");
    }
}
