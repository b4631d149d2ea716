use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use sqlx::PgPool;
use tokio::sync::{Notify, mpsc, oneshot};

use super::{notification::Notification, queries};

/// Notifications that wait to be written down; more are dropped and counted.
const QUEUE: usize = 1024;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Takes notifications from whoever has one. Cheap to clone.
#[derive(Clone)]
pub struct Notifier(Arc<Inner>);

struct Inner {
    sender: mpsc::Sender<Queued>,
    /// Until the task that writes down has taken it.
    receiver: Mutex<Option<mpsc::Receiver<Queued>>>,
    outbox_changed: Notify,
}

pub(super) enum Queued {
    Notification(Box<Notification>),
    /// Answered once everything before it is written down.
    Flush(oneshot::Sender<()>),
}

impl Notifier {
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        Self(Arc::new(Inner { sender, receiver: Mutex::new(Some(receiver)), outbox_changed: Notify::new() }))
    }

    /// Hands a notification over. Never waits, never fails: where too many wait already, it is dropped, counted as
    /// `atlashub_notifications_dropped_total`, and said in the log.
    pub fn notify(&self, notification: Notification) {
        let event = notification.event;
        if self.0.sender.try_send(Queued::Notification(Box::new(notification.within_limits()))).is_err() {
            count_dropped(1);
            tracing::error!(?event, "a notification was dropped: too many wait to be written down");
        }
    }

    /// Waits until everything that was handed over is written down, at most so long; for the end of the process.
    pub async fn flush(&self, patience: Duration) {
        let (done, written) = oneshot::channel();
        let flush = async {
            if self.0.sender.send(Queued::Flush(done)).await.is_ok() {
                // An error means that nobody writes down any more.
                let _ = written.await;
            }
        };
        let _ = tokio::time::timeout(patience, flush).await;
    }

    /// Has the outbox looked at now.
    pub fn wake(&self) {
        self.0.outbox_changed.notify_one();
    }

    pub(super) async fn woken(&self) {
        self.0.outbox_changed.notified().await;
    }

    pub(super) fn take_queue(&self) -> Option<mpsc::Receiver<Queued>> {
        self.0.receiver.lock().ok()?.take()
    }
}

fn count_dropped(dropped: u64) {
    metrics::counter!("atlashub_notifications_dropped_total").increment(dropped);
}

/// Writes notifications into the outbox as they come. Where the database doesn't answer, it waits, and the queue holds
/// what comes meanwhile.
pub(super) async fn write_down(mut queue: mpsc::Receiver<Queued>, platform: PgPool, notifier: Notifier) {
    while let Some(queued) = queue.recv().await {
        let notification = match queued {
            Queued::Notification(notification) => notification,
            Queued::Flush(done) => {
                let _ = done.send(());
                continue;
            }
        };
        let mut pause = FIRST_PAUSE;
        let full = loop {
            let error = match queries::enqueue(&platform, &notification).await {
                Ok(full) => break full,
                Err(error) => error,
            };
            tracing::warn!(%error, event = ?notification.event, retry_ms = pause.as_millis() as u64,
                "a notification could not be written down; it is kept and tried again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        if full > 0 {
            count_dropped(full);
            tracing::error!(event = ?notification.event, channels = full,
                "a notification was dropped: too many wait for the channel");
        }
        notifier.wake();
    }
}
