//! Notifications: telling the owner what happened, over Discord, e-mail or a signed webhook.
//!
//! Whoever has something to say hands a [`Notification`] to the [`Notifier`], which never waits and never fails. A
//! task writes it into an outbox in the platform database, one row for each channel that wants its event; equal ones
//! are folded there. Another task delivers what is due: one node at a time for each channel, each channel for itself,
//! so that one which hangs holds up no other. What fails is tried again with growing pauses, and given up in the end;
//! the channel shows why.
//!
//! Deliberately absent: knowledge of jobs, plugins or backups. They know of this. Webhooks don't need an entry in the
//! allowlist, since the owner typed their address in; a private address does.
//!
//! Reading order: `notification` (what is said), `settings` (a channel's, checked and sealed), `queries`, `notifier`
//! (into the outbox), `delivery` (out of it), `channels/` (how each kind sends), `disk`, `routes`.

mod notification;
mod settings;

mod queries;

mod delivery;
mod notifier;

mod channels;

mod disk;

mod routes;

use std::path::PathBuf;

use sqlx::PgPool;

use crate::{config::TrustedCertificates, egress::Egress, secrets::Sealer};

pub(crate) use routes::*;

pub use disk::DiskWatch;
pub use notification::{Notification, event_name};
pub use notifier::Notifier;
pub use settings::SEALED_COLUMNS;

/// What channels, and the tasks that deliver to them, need.
#[derive(Clone)]
pub struct NotificationState {
    pub platform: PgPool,
    pub sealer: Sealer,
    pub egress: Egress,
    /// Authorities that mail servers' certificates may be of, besides the public ones.
    pub trusted: TrustedCertificates,
    pub notifier: Notifier,
}

impl NotificationState {
    /// Must run inside a tokio runtime; nothing is sent before [`start`].
    pub fn new(platform: PgPool, sealer: Sealer, egress: Egress, trusted: TrustedCertificates) -> Self {
        Self { notifier: Notifier::new(), platform, sealer, egress, trusted }
    }
}

/// Starts what writes notifications down, what delivers them, and the watch over the disk of `data_dir`, where
/// `disk_low_percent` isn't 0. A second call does nothing.
pub fn start(state: &NotificationState, data_dir: PathBuf, disk_low_percent: u8) {
    let Some(queue) = state.notifier.take_queue() else { return };
    tokio::spawn(notifier::write_down(queue, state.platform.clone(), state.notifier.clone()));
    tokio::spawn(delivery::deliver_what_is_due(state.clone()));
    if disk_low_percent > 0 {
        tokio::spawn(DiskWatch::new(state, data_dir, disk_low_percent).watch());
    }
}
