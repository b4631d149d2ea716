//! Bindings generated from `wit/`. Plugins use the public modules instead.
#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::needless_pass_by_value,
    clippy::semicolon_if_nothing_returned,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    reason = "generated code"
)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "plugin",
    pub_export_macro: true,
    export_macro_name: "export_plugin",
    default_bindings_module: "atlashub_plugin_sdk::bindings",
});
