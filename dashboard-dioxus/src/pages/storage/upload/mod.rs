//! Uploads from the browser straight to the object store. They continue while other pages are open.
//!
//! [`files`] reads the chosen or dropped files. [`queue`] sends up to three files at the same time, in the order in
//! which they were added. [`send`] sends one file, whole or in parts. [`transfer`] is one request with progress.
//! [`state`] is the list of uploads, which the [`dock`] shows. [`conflict`] asks whether to replace objects, and
//! [`closing`] asks before the page is closed. [`single`] sends a file of another page, such as an archive to restore
//! or rows to import.
//!
//! Files are never read into memory: the browser streams them from the disk.

mod closing;
mod conflict;
mod dock;
pub(super) mod files;
mod queue;
mod send;
mod single;
mod state;
mod transfer;

pub use closing::{UploadKind, ask_before_closing};
pub use dock::{UploadDock, UploadList};
pub(super) use queue::add;
pub use single::{chosen_files, dropped_file, send_file};
pub use state::Stop;
pub(super) use state::{Destination, was_begun_here};
