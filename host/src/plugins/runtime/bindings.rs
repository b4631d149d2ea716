//! The host's side of `wit/`, made by wasmtime. A plain `func` becomes a method of the interface's `Host`, an
//! `async func` one of its `HostWithStore`, which gets an accessor and may wait.

wasmtime::component::bindgen!({
    path: "../wit",
    world: "atlashub:plugin/plugin",
    imports: { default: trappable },
    trappable_error_type: { "atlashub:plugin/types.error" => crate::plugins::runtime::CallError },
    with: {
        "atlashub:plugin/secrets.secret": crate::plugins::capabilities::secrets::OpenSecret,
        "atlashub:plugin/objects.upload": crate::plugins::capabilities::objects::OpenUpload,
    },
});

pub use atlashub::plugin::*;
