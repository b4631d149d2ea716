//! Requests whose results must not be lost if their page or dialog is closed.

use futures_channel::oneshot;

use crate::{remote::Failure, ui::messages};

/// Completes `work` even if the calling component is removed, and returns its result. If the component is removed, a
/// failure is shown as a message.
///
/// # Errors
/// Returns the failure of `work`.
pub(super) async fn complete<T: 'static>(
    work: impl Future<Output = Result<T, Failure>> + 'static,
) -> Result<T, Failure> {
    let (sender, receiver) = oneshot::channel();
    dioxus::core::spawn_forever(async move {
        if let Err(Err(failure)) = sender.send(work.await) {
            messages::show_failure(failure.message());
        }
    });
    receiver.await.unwrap_or(Err(Failure::Unreachable))
}
