//! Messages to the owner, over the channels that want the event `plugin`.

use crate::Result;

/// Hands a message over; a channel that fails never fails the run. Equal titles within some minutes are folded.
///
/// # Errors
/// `Denied`, `Invalid`.
#[cfg_attr(not(target_arch = "wasm32"), allow(clippy::unused_async))]
pub async fn send(title: &str, message: &str) -> Result<()> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::atlashub::plugin::notify::send(title.to_owned(), message.to_owned())
        .await
        .map_err(crate::error::from_wit);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::call(crate::plugin::Capability::Notify, "notify.send", title, |state| {
        state.notifications.push((title.to_owned(), message.to_owned()));
        Ok(())
    })
}
