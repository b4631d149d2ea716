//! Accepts notifications from any slice, and writes them to the outbox.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use sqlx::PgPool;
use tokio::sync::{Notify, mpsc, oneshot};

use super::{notification::Notification, queries};

/// Maximum number of notifications that wait to be written to the outbox. Further ones are dropped and counted, as are
/// those that a channel with too many pending deliveries does not accept.
const QUEUE_LENGTH: usize = 1024;
const FIRST_RETRY_INTERVAL: Duration = Duration::from_secs(1);
const MAX_RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// Accepts notifications. Cheap to clone.
#[derive(Clone)]
pub struct Notifier(Arc<Inner>);

struct Inner {
    sender: mpsc::Sender<Queued>,
    /// `None` once the task that writes the outbox has taken it.
    receiver: Mutex<Option<mpsc::Receiver<Queued>>>,
    outbox_changed: Notify,
}

pub(super) enum Queued {
    Notification(Box<Notification>),
    /// Confirmed when everything before it is in the outbox.
    Flush(oneshot::Sender<()>),
}

impl Notifier {
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE_LENGTH);
        Self(Arc::new(Inner { sender, receiver: Mutex::new(Some(receiver)), outbox_changed: Notify::new() }))
    }

    /// Queues a notification. Never waits and never fails: if the queue is full, the notification is dropped, counted
    /// as `atlashub_notifications_dropped_total` and logged.
    pub fn notify(&self, notification: Notification) {
        let event = notification.event;
        if self.0.sender.try_send(Queued::Notification(Box::new(notification.normalized()))).is_err() {
            count_dropped(1);
            tracing::error!(?event, "dropped a notification because the queue is full");
        }
    }

    /// Waits until all queued notifications are in the outbox, up to `timeout`. Called at shutdown.
    pub async fn flush(&self, timeout: Duration) {
        let (done, written) = oneshot::channel();
        let flush = async {
            if self.0.sender.send(Queued::Flush(done)).await.is_ok() {
                // An error means that the task has ended.
                let _ = written.await;
            }
        };
        let _ = tokio::time::timeout(timeout, flush).await;
    }

    /// Makes the delivery task check the outbox now.
    pub fn wake_delivery(&self) {
        self.0.outbox_changed.notify_one();
    }

    pub(super) async fn wait_for_wake(&self) {
        self.0.outbox_changed.notified().await;
    }

    pub(super) fn take_queue(&self) -> Option<mpsc::Receiver<Queued>> {
        self.0.receiver.lock().take()
    }
}

fn count_dropped(dropped: u64) {
    metrics::counter!("atlashub_notifications_dropped_total").increment(dropped);
}

/// Writes queued notifications to the outbox. While the database is not available, notifications stay in the queue.
pub(super) async fn write_to_outbox(mut queue: mpsc::Receiver<Queued>, platform: PgPool, notifier: Notifier) {
    while let Some(queued) = queue.recv().await {
        let notification = match queued {
            Queued::Notification(notification) => notification,
            Queued::Flush(done) => {
                let _ = done.send(());
                continue;
            }
        };
        let mut interval = FIRST_RETRY_INTERVAL;
        let full_channels = loop {
            let error = match queries::enqueue(&platform, &notification).await {
                Ok(full_channels) => break full_channels,
                Err(error) => error,
            };
            tracing::warn!(%error, event = ?notification.event, retry_ms = interval.as_millis() as u64,
                "failed to write a notification to the outbox; retrying");
            tokio::time::sleep(interval).await;
            interval = (interval * 2).min(MAX_RETRY_INTERVAL);
        };
        if full_channels > 0 {
            count_dropped(full_channels);
            tracing::error!(event = ?notification.event, channels = full_channels,
                "dropped a notification because too many are waiting for the channel");
        }
        notifier.wake_delivery();
    }
}
