//! Requests to the server.
//!
//! [`client`] sends one request and reads its answer. [`failure`] says why there is none, in words for the owner.
//! [`cache`] remembers answers and joins equal requests; [`resource`] keeps an answer up to date while a page shows it.
//! [`events`] follows changes on the server and the logs of runs. [`session`] knows who is signed in, [`connection`]
//! whether the server is there. [`brief`] has the types that the frame reads.

mod brief;
mod cache;
mod client;
pub mod connection;
pub mod events;
mod failure;
mod resource;
pub mod session;

pub use brief::{PageBrief, ProjectBrief, SystemBrief, TableBrief};
pub use cache::{forget, forget_all};
pub use client::{Method, delete, get, get_text, parse, send, send_if_match};
pub use failure::Failure;
pub use resource::{Remote, RemoteState, is_visible, use_remote, use_remote_every};
