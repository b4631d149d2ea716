//! Sends waiting requests together, in batches. `lookups` and `writes` share this module.
//!
//! A *request* is a lookup or a write. Requests of one queue can be sent together, as a *batch*. A *flight* is a batch,
//! or a request that is sent alone, until its response has arrived.
//!
//! - While a queue has fewer than [`QueueHandle::MAX_FLIGHTS`] flights, a request is sent at once, alone. It never
//!   waits for others.
//! - Further requests wait. When a flight ends, the first waiting request becomes the *leader*: it sends all that wait,
//!   up to [`QueueHandle::MAX_BATCH`], and distributes the results to the others, its *followers*.
//! - If no flight ends for long, the flights seem to be stuck. Then requests are sent alone, without being counted as a
//!   flight.
//! - If a batch fails, requests that could fail for the same cause share nothing for a while ([`Pauses`]).
//!
//! A caller can stop waiting at any moment, because its future is dropped. No request waits for such a caller:
//!
//! - A flight ends when it is dropped. The future that waits for its response owns it, so it ends in any case.
//! - A waiting request whose caller is gone is discarded when a flight ends.
//! - The turn of a leader contains its flight and its followers. If nobody receives the turn, both are dropped: the
//!   flight ends, and the followers are sent alone.
//! - If the channel through which a request's turn is sent is dropped, the caller sends the request alone. So a leader
//!   drops this channel only for requests that it has not sent, or that can be sent twice.
//!
//! Deliberately absent: how a batch is sent, and what its requests do after a failure (`lookups`, `writes`).

mod pauses;
mod queue;

pub(super) use pauses::Pauses;
pub(super) use queue::{Batch, Entry, Queue, QueueHandle, Turn, TurnSender, Waited, Waiter};
