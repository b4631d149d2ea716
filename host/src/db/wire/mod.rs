//! The stream between the client library and the socket: keeps large messages out of memory, sets a signed-in user's
//! claims in the same transaction as the statement, and lets several statements share a transaction.
//!
//! **Large messages.** The library reads each message as a whole, and a message can be a gigabyte long: a row with a
//! huge value, or an error whose text an SQL function wrote. The `stream` reads the length of every message before its
//! content arrives. If a row or an error is too large, it discards the content and passes on a short error in its
//! place, which says so. It drops notices, notifications and reported settings that are too large. So no statement
//! needs a limit on the size of its rows.
//!
//! **Claims.** The library ends each request with a message of type Sync, and Postgres commits at each Sync. A
//! transaction that sets the claims and runs the statement would also need BEGIN and COMMIT, four requests in all.
//! Instead, the stream removes the Sync between the claims and their statement, and gives the library the response that
//! it expects. Postgres runs both in one transaction and sends one response. This makes signed-in reads about twice as
//! fast.
//!
//! **Shared transactions.** In the same way, the stream makes one transaction of several statements: those between the
//! statements [`BEGIN_SHARED`] and [`END_SHARED`]. They are writes, or reads of several users, each after the claims of
//! its user.
//!
//! Source: PostgreSQL documentation, "Message Formats" and "Pipelining". Every message is a type byte, its length as 4
//! bytes (which includes these 4), and its content. Only the client's first message has no type byte.
//!
//! `requests` joins the statements of a transaction, `messages` decides which messages of Postgres pass, the library
//! reads from and writes to `stream`, and `connector` creates the stream.

mod connector;
mod messages;
mod requests;
mod stream;

pub(super) use connector::{Guarded, Plain};
pub use messages::{is_error_too_large, is_row_too_large};
pub(super) use requests::{BEGIN_SHARED, END_SHARED, SET_CLAIMS, is_not_run};
pub(super) use stream::GuardedStream;
