//! Settings that the owner gave this plugin when approving it. Needs no grant; there are none unless given.

/// The value of a setting.
pub fn get(name: &str) -> Option<String> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::atlashub::plugin::config::get(name);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::with(|state| state.config.get(name).cloned())
}
