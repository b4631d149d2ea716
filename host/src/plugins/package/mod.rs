//! A plugin as its author ships it: one signed WebAssembly component with a manifest.
//!
//! In reading order:
//! - Sources of files: [`embedded`] (inside this binary), [`first_party`] (AtlasHub's own plugins and their key) and
//!   [`folder`] (the plugin folder). Each yields a [`SignedFile`] (`signed_file`).
//! - Contents of a file: [`component`] (imports and exports, read by `plugin_packing`), [`manifest`], `public_key`
//!   (minisign keys) and [`params`] (the JSON Schemas of job parameters, bounded by [`schema_bounds`];
//!   `problems` describes what does not match).
//! - [`refusal`]: the reasons not to run a plugin.
//!
//! Deliberately absent: the decision whether a plugin may run. Nothing here trusts a manifest or checks a signature;
//! see `trust`.

mod component;
pub mod embedded;
mod first_party;
pub mod folder;
mod manifest;
mod params;
mod problems;
mod public_key;
mod refusal;
mod schema_bounds;
mod signed_file;

pub use component::ComponentFacts;
pub use first_party::{FirstParty, RESERVED_NAMES};
pub(super) use first_party::{PLUGINS_WITH_OWN_PERMITS, has_own_permits, is_reserved};
pub use manifest::{ReadManifestError, read_manifest};
pub use params::ParamsSchemas;
pub(super) use public_key::format_key_id;
pub use public_key::{PluginKey, PluginKeyError};
pub use refusal::Refusal;
pub use signed_file::{Origin, SignedFile};
