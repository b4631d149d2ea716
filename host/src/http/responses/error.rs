//! The reasons why a response can't grow, and the errors that clients receive for them.

use std::time::Duration;

use crate::error::{ApiError, Code};

/// The reason why a response can't grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseError {
    /// It would exceed the maximum size, in bytes.
    TooLarge(usize),
    /// The responses to one project, or all responses together, would use too much memory.
    MemoryFull,
}

impl From<ResponseError> for ApiError {
    fn from(error: ResponseError) -> Self {
        match error {
            ResponseError::TooLarge(max) => ApiError::new(
                Code::ResponseTooLarge,
                format!("The response would be larger than {max} bytes, the maximum size of a response."),
            )
            .with_hint("Select fewer columns, set a smaller `limit`, or read large values one at a time.")
            .with_details(serde_json::json!({ "maxBytes": max })),
            ResponseError::MemoryFull => ApiError::new(
                Code::Overloaded,
                "The memory for responses is in use: clients have not read earlier responses yet.",
            )
            .with_hint("Try again in a moment, and read responses without delay.")
            .with_retry_after(Duration::from_secs(1)),
        }
    }
}
