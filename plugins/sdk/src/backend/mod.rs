//! Two implementations of the functions that the public modules call: `wasm` for components, `native` for tests.
//!
//! `wasm` calls the host through the generated bindings. `native` runs against the simulated host of
//! [`TestHost`](crate::testing::TestHost). Both have the same submodules and functions, one submodule per public
//! module, so that the functions of the public modules do not depend on the target. If a function is missing on one
//! side, the crate does not compile for that target.

#[cfg(any(target_arch = "wasm32", test))]
mod convert;

#[cfg(target_arch = "wasm32")]
mod wasm;
#[cfg(target_arch = "wasm32")]
pub(crate) use wasm::*;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod native;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::*;
