//! Keeps large messages of Postgres out of memory.
//!
//! The client library reads each message as a whole, and a message can be a gigabyte long: a row with a huge value, or
//! an error whose text an SQL function wrote. The `stream` sits between the library and the socket, and reads the
//! length of every message before its content arrives. If a row or an error is too large, it discards the content and
//! passes on a short error in its place. It drops notices that are too large. So no statement needs a limit on the size
//! of its rows.
//!
//! Source: PostgreSQL documentation, "Message Formats". Every message of the server is a type byte, its length as 4
//! bytes (which includes these 4), and its content.
//!
//! `messages` decides which messages pass, the library reads from `stream`, and `connector` creates the stream.

mod connector;
mod messages;
mod stream;

pub(super) use connector::{Guarded, Plain};
pub use messages::is_row_too_large;
