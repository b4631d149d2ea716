//! [`ApiError`], the only error that clients see, and the table of its codes.
//!
//! Slices have their own internal errors and map each case by hand to an [`ApiError`]. The cause of an [`ApiError`] is
//! logged where the response is written (`http::request_id`), and never reaches a client. `cause` describes the cause
//! without values of rows. `count` writes numbers with their nouns in messages.

mod cause;
mod codes;
mod count;

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

pub use cause::{RAISE_ROUTINE, describe_cause, is_disk_full};
pub use codes::{Code, TABLE};
pub use count::count;

/// An error response: a documented code, a message for a person, and a cause that is only logged.
#[derive(Clone)]
pub struct ApiError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    code: Code,
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    details: Option<serde_json::Value>,
    retry_after: Option<Duration>,
    cause: Option<Arc<anyhow::Error>>,
}

pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            code,
            message: message.into(),
            hint: None,
            details: None,
            retry_after: None,
            cause: None,
        }))
    }

    /// Creates a 400 with the code `invalid_request`.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidRequest, message)
    }

    /// Creates a 404 for a resource of the API, for example `project`.
    pub fn not_found(resource: &str) -> Self {
        Self::new(Code::NotFound, format!("There is no such {resource}."))
    }

    /// Creates a 500. The cause is logged and not shown.
    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Self::new(Code::Internal, "Something went wrong on the server.")
            .with_hint("Try again. If the error persists, look for the request id in the server's log.")
            .with_cause(cause)
    }

    /// Creates a 503 for a dependency that can't be reached. The cause is logged and not shown.
    pub fn unavailable(dependency: &'static str, cause: impl Into<anyhow::Error>) -> Self {
        Self::unreachable(dependency).with_cause(cause)
    }

    /// Creates the error of [`Self::unavailable`] without a cause.
    pub fn unreachable(dependency: &'static str) -> Self {
        Self::new(Code::Unavailable, format!("{dependency} can't be reached right now."))
            .with_retry_after(Duration::from_secs(1))
    }

    /// Creates a 503 for a write for which Postgres has no space.
    pub fn disk_full() -> Self {
        Self::new(Code::DiskFull, "The disk of the Postgres server is full. Nothing was changed.")
            .with_hint("The owner must free space on it or enlarge it; then try again.")
            .with_retry_after(Duration::from_secs(10))
    }

    /// Creates a 400 for a string with a NUL character.
    pub fn unstorable_text() -> Self {
        Self::invalid("A string in the request contains a NUL character, which Postgres can't store.")
            .with_hint("Remove the character U+0000.")
    }

    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub fn with_details(mut self, details: serde_json::Value) -> Self {
        self.0.details = Some(details);
        self
    }

    /// Adds a member to the details.
    pub fn with_detail(mut self, name: &'static str, value: serde_json::Value) -> Self {
        let details = self.0.details.get_or_insert_with(|| serde_json::json!({}));
        if let Some(members) = details.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
        self
    }

    pub fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.0.retry_after = Some(retry_after);
        self
    }

    pub fn with_cause(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.0.cause = Some(Arc::new(cause.into()));
        self
    }

    pub fn code(&self) -> Code {
        self.0.code
    }

    pub fn status(&self) -> StatusCode {
        self.0.code.status()
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    pub fn details(&self) -> Option<&serde_json::Value> {
        self.0.details.as_ref()
    }

    /// Returns the value of `Retry-After`, in seconds. Every 429 and 503 has one.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        match self.0.retry_after {
            Some(after) => Some(after.as_secs_f64().ceil().max(1.0) as u64),
            None => matches!(self.status().as_u16(), 429 | 503).then_some(1),
        }
    }

    /// Returns the cause, for the log. It contains no values of rows.
    pub fn cause(&self) -> Option<String> {
        self.0.cause.as_ref().map(|cause| describe_cause((**cause).as_ref()))
    }

    /// Returns the response body.
    pub fn body(&self, request_id: &str) -> api_types::ErrorBody {
        api_types::ErrorBody {
            error: api_types::ErrorDetail {
                code: self.0.code.as_str().to_owned(),
                message: self.0.message.clone().into_owned(),
                hint: self.0.hint.clone().map(Cow::into_owned),
                details: self.0.details.clone(),
                request_id: request_id.to_owned(),
            },
        }
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiError")
            .field("code", &self.0.code)
            .field("message", &self.0.message)
            .field("cause", &self.cause())
            .finish()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.as_str(), self.0.message)?;
        match self.cause() {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ApiError {}

/// Sets status and headers. `http::request_id`, which knows the request's id, writes the body.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        if let Some(seconds) = self.retry_after_seconds() {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Returns whether Postgres rejected a value because it contains a NUL character: as text, or escaped in JSON.
pub fn is_unstorable_text(sqlstate: &str) -> bool {
    matches!(sqlstate, "22021" | "22P05")
}

/// Maps errors of the platform database that a query did not map itself: 400 for a string that can't be stored, 503 if
/// the database can't be reached or lacks connections, memory or disk space, otherwise 500.
impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|database| database.code());
        match code.as_deref() {
            Some("53100") => return Self::disk_full().with_cause(error),
            Some(code) if is_unstorable_text(code) => return Self::unstorable_text().with_cause(error),
            _ => {}
        }
        let unreachable = match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            // 57P: shut down or starting; 53: out of connections, memory or disk; 08: connection lost.
            sqlx::Error::Database(database) => database
                .code()
                .is_some_and(|code| code.starts_with("57P") || code.starts_with("53") || code.starts_with("08")),
            _ => false,
        };
        if unreachable { Self::unavailable("The platform database", error) } else { Self::internal(error) }
    }
}
