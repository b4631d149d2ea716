//! The plugin folder: what lies in it, read safely and once, and noticed when it changes.
//!
//! Deliberately absent: what the files mean. Names, sizes and bytes go to `trust`; nothing here parses a component.

mod listing;
mod proposals;
mod read;
mod watch;

pub use listing::{FileStamp, Pair, PluginFolder};
pub use proposals::{ProposedKey, proposed_keys};
pub use read::{MAX_COMPONENT_BYTES, read_pair};
pub use watch::FolderWatch;
