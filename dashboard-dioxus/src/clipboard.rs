//! Copies text to the clipboard.

use wasm_bindgen_futures::JsFuture;

/// Message for the owner if copying fails, which usually means that the browser does not allow it.
pub const REFUSED: &str = "The browser did not allow copying. Allow this site to use the clipboard, and try again.";

/// Copies text. Returns whether it succeeded.
pub async fn copy(text: &str) -> bool {
    let Some(window) = web_sys::window() else { return false };
    JsFuture::from(window.navigator().clipboard().write_text(text)).await.is_ok()
}
