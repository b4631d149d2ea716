//! Requests to the server.
//!
//! [`client`] sends one request and reads its response. [`failure`] is the reason why a request has no result, with a
//! message for the owner. [`cache`] stores responses and joins equal requests. [`resource`] keeps a response up to date
//! while a page shows it, and [`pages`] reads complete lists. [`events`] follows changes on the server and the logs of
//! runs. [`session`] stores who is signed in, and [`connection`] whether the server responds. [`brief`] contains the
//! types that the frame reads.

mod brief;
mod cache;
mod client;
pub mod connection;
pub mod events;
mod failure;
mod pages;
mod resource;
pub mod session;

pub use brief::{JobBrief, PageBrief, ProjectBrief, RunBrief, SystemBrief, TableBrief};
pub use cache::{forget, forget_all};
pub use client::{Method, delete, get, get_text, parse, send, send_if_match};
pub use failure::Failure;
pub use pages::{AllPages, use_all_pages, use_projects};
pub use resource::{Remote, RemoteState, is_visible, outdated, use_remote, use_remote_every};
