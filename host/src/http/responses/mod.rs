//! Limits the memory of responses: of each one, and of all together.
//!
//! Responses with rows are complete in memory before their first byte is sent. So an error is always an error response,
//! and a client that reads slowly holds no connection to Postgres. The price is memory until the client has read the
//! response. This memory is counted here: as a response grows, and until its bytes are written or dropped.
//!
//! One project can use half of the memory. While three quarters are in use, only responses to the owner can use more.
//!
//! `memory` counts the bytes. `buffer` is a response that grows, and `error` the reason why it can't. `middleware`
//! applies the limits to other responses.

mod buffer;
mod error;
mod memory;
mod middleware;

pub use buffer::ResponseBuffer;
pub use error::ResponseError;
pub use memory::{Recipient, ResponseLimits, ResponseMemory};
pub use middleware::limit_responses;

#[cfg(test)]
mod tests;
