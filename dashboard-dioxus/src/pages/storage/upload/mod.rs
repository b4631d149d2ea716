//! Uploads from the browser straight to the object store. They go on while the owner looks at other pages.
//!
//! [`files`] reads what was chosen or dropped; [`queue`] sends three files at once, in the order in which they were
//! added; [`send`] sends one file, whole or in parts; [`transfer`] is one request with progress. [`state`] holds what
//! the [`dock`] shows; [`conflict`] asks what to do about names that exist; [`closing`] asks before the page is closed.
//!
//! Files are never read into memory: the browser streams them from the disk.

mod closing;
mod conflict;
mod dock;
pub(super) mod files;
mod queue;
mod send;
mod state;
mod transfer;

pub use dock::UploadDock;
pub(super) use queue::add;
pub(super) use state::Destination;
