//! A component and its signature, as read from their source.

use std::sync::Arc;

/// The source of a plugin file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Embedded in this binary.
    Embedded,
    /// A file in the plugin folder.
    Folder,
}

/// A component and its detached signature, as read. Neither has been checked.
#[derive(Debug, Clone)]
pub struct SignedFile {
    pub origin: Origin,
    /// The file's name without `.wasm`.
    pub name: String,
    pub bytes: Arc<[u8]>,
    /// Text of the `.minisig` file.
    pub signature: String,
}
