use super::{
    bindings::types::{self, ErrorCode},
    state::RunState,
};

/// Why a call from the guest didn't do what it was asked.
///
/// A [`CallError::Failed`] is the guest's to handle, and its message is shown to people: no secret, nothing internal.
/// A [`CallError::Trap`] ends the run.
#[derive(Debug)]
pub enum CallError {
    Failed { code: ErrorCode, message: String, details: Option<serde_json::Value> },
    Trap(wasmtime::Error),
}

impl CallError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Failed { code, message: message.into(), details: None }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Invalid, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::TooLarge, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unavailable, message)
    }

    /// What the guest gets to see where it takes the error by value, as from a `future`.
    pub fn into_wit(self) -> wasmtime::Result<types::Error> {
        match self {
            Self::Failed { code, message, details } => {
                Ok(types::Error { code, message, details: details.map(|details| details.to_string()) })
            }
            Self::Trap(error) => Err(error),
        }
    }
}

impl From<wasmtime::Error> for CallError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

/// A handle that isn't there, or one too many: the guest's own mistake, and no way to go on.
impl From<wasmtime::component::ResourceTableError> for CallError {
    fn from(error: wasmtime::component::ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

impl types::Host for RunState {
    fn convert_error(&mut self, error: CallError) -> wasmtime::Result<types::Error> {
        error.into_wit()
    }
}
