//! Notifications: messages to the owner, by Discord, e-mail or a signed webhook.
//!
//! Other slices pass a [`Notification`] to the [`Notifier`], which never waits and never fails. A task writes it into
//! an outbox in the platform database, with one row for each channel that subscribes to the notification's event; equal
//! notifications are merged there. A second task delivers due rows. Each channel is served by one node at a time and
//! independently of the others, so that a slow channel does not delay the others. Failed deliveries are retried with
//! growing delays, up to a limit. The last error is stored with the channel.
//!
//! Deliberately absent: knowledge of jobs, plugins or backups; `app` turns their events into notifications. Public
//! webhook URLs need no entry in the allowlist, because the owner entered them; private IP addresses do.
//!
//! Reading order: `notification` (the message), `settings` (a channel's settings, validated and sealed), `queries`,
//! `notifier` (writes the outbox), `delivery` (reads the outbox), `recipients` (e-mail addresses that failed, each of
//! which becomes a delivery of its own), `channels/` (sending, by kind of channel), `disk` (the check for free disk
//! space), `health` (for the overview), `history` (the list of deliveries), `routes`.

mod notification;
mod settings;

mod queries;

mod delivery;
mod notifier;
mod recipients;

mod channels;

mod disk;
mod health;
mod history;

mod routes;

use std::path::PathBuf;

use sqlx::PgPool;

use crate::{config::TrustedCertificates, egress::Egress, secrets::Sealer};

pub(crate) use routes::*;

pub use disk::DiskWatch;
pub use health::{ChannelHealth, channel_health};
pub use notification::Notification;
pub use notifier::Notifier;
pub use settings::SEALED_COLUMNS;

/// The state of the routes and of the delivery tasks. Cheap to clone.
#[derive(Clone)]
pub struct NotificationState {
    pub platform: PgPool,
    pub sealer: Sealer,
    pub egress: Egress,
    /// Certificate authorities of mail servers, in addition to the public ones.
    pub trusted: TrustedCertificates,
    pub notifier: Notifier,
}

impl NotificationState {
    /// Creates the state. Nothing is sent before [`run`].
    pub fn new(platform: PgPool, sealer: Sealer, egress: Egress, trusted: TrustedCertificates) -> Self {
        Self { notifier: Notifier::new(), platform, sealer, egress, trusted }
    }
}

/// Writes notifications to the outbox, for a process that ends before it could deliver them. The servers deliver them.
/// A second call of this function or of [`run`] returns at once.
pub async fn write_outbox(state: NotificationState) {
    if let Some(queue) = state.notifier.take_queue() {
        notifier::write_to_outbox(queue, state.platform, state.notifier.clone()).await;
    }
}

/// Writes and delivers notifications, and checks the free disk space of `data_dir` unless `disk_low_percent` is 0. A
/// second call returns at once.
pub async fn run(state: NotificationState, data_dir: PathBuf, disk_low_percent: u8) {
    let Some(queue) = state.notifier.take_queue() else { return };
    let watch_disk = async {
        if disk_low_percent > 0 {
            DiskWatch::new(&state, data_dir, disk_low_percent).watch().await;
        }
    };
    tokio::join!(
        notifier::write_to_outbox(queue, state.platform.clone(), state.notifier.clone()),
        delivery::deliver_due(state.clone()),
        watch_disk,
    );
}
