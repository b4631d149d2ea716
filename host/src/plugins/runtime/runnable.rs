//! The parts of a plugin that a run needs.

use std::sync::Arc;

use plugin_manifest::Manifest;

use super::CompiledPlugin;
use crate::plugins::guest::Grants;

/// The parts of a plugin that a run needs.
#[derive(Debug, Clone)]
pub struct RunnablePlugin {
    pub manifest: Arc<Manifest>,
    /// SHA-256 of the component.
    pub sha256: [u8; 32],
    pub grants: Arc<Grants>,
    pub code: CompiledPlugin,
}
