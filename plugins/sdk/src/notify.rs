//! Sends messages to the owner, through the notification channels that subscribe to the event `plugin`.
//!
//! Requires the capability [`Notify`](crate::plugin::Capability::Notify), which has no scope.

use crate::{Result, backend};

/// Queues a message for delivery.
///
/// A failed delivery does not fail the run. Messages with the same title within a few minutes are combined into one.
///
/// # Errors
/// `Denied` without a grant, `Invalid` if the title is empty, `TooLarge` if the run has already sent 20 messages.
pub async fn send(title: &str, message: &str) -> Result<()> {
    backend::notify::send(title, message).await
}
