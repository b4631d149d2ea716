//! The plugin folder (`ATLASHUB_PLUGIN_DIR`): listing, reading and watching its files.
//!
//! `listing` finds pairs of component and signature, `read` reads a pair exactly once, `proposals` reads the public
//! keys in `trusted-keys/`, and `watch` reports changes.
//!
//! Deliberately absent: the meaning of the files. Nothing here parses a component or checks a signature.

mod listing;
mod proposals;
mod read;
mod watch;

pub use listing::{FileStamp, FolderEntry, PluginFolder};
pub use proposals::{ProposedKey, read_proposed_keys};
pub use read::read_signed_file;
pub use watch::FolderWatch;
