//! Requests to the server.
//!
//! [`client`] sends one request and reads its response. [`failure`] has the errors, with messages for the owner.
//! [`cache`] keeps responses and joins equal requests; [`resource`] keeps a response up to date while a page shows it.
//! [`session`] knows who is signed in, [`connection`] whether the server responds.

mod cache;
mod client;
pub mod connection;
mod failure;
mod resource;
pub mod session;

pub use cache::{forget, forget_all};
pub use client::{Method, delete, get, get_text, send, send_if_match};
pub use failure::Failure;
pub use resource::{Remote, RemoteState, is_visible, use_remote, use_remote_every};
