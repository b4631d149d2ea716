//! How far the run is, for whoever watches. Needs no grant.

/// `total` is none while it isn't known. The unit is the plugin's own (bytes, rows, databases): say it in `message`.
/// Cheap; the host keeps the newest.
pub fn report(done: u64, total: Option<u64>, message: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::atlashub::plugin::progress::report(done, total, message);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::with(|state| {
        state.progress.push(crate::testing::Progress { done, total, message: message.to_owned() });
    });
}
