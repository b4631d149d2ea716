//! Sends messages to the owner, through the notification channels that subscribe to the event `plugin`.
//!
//! Requires the capability [`Notify`](crate::plugin::Capability::Notify), which has no scope.

use crate::{Result, backend};

/// Queues a message for delivery.
///
/// A failed delivery does not fail the run. After a message, further ones with the same title are collected for ten
/// minutes and sent as one.
///
/// # Errors
/// Returns `Denied` in native tests whose manifest does not request the capability, `Invalid` if the title is empty,
/// `TooLarge` if the run has already sent 20 messages, `Conflict` if the run no longer holds its lease, and
/// `Unavailable` if Postgres cannot be reached.
pub async fn send(title: &str, message: &str) -> Result<()> {
    backend::notify::send(title, message).await
}
