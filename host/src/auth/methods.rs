//! The methods by which users prove their identity, as the claims `amr` and `aal` state them.

use serde::{Deserialize, Serialize};

use crate::error::{ApiError, ApiResult};

/// A way to prove one's identity. The claim `amr` uses Supabase's names for the methods that Supabase also has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Password,
    /// The link that verifies an e-mail address.
    Verification,
    /// The link that confirms a new e-mail address.
    EmailChange,
    /// The link that resets a password.
    Recovery,
    MagicLink,
    /// A code of the authenticator app.
    Totp,
    /// A code that replaces a lost authenticator app.
    RecoveryCode,
}

impl Method {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Verification => "email/signup",
            Self::EmailChange => "email_change",
            Self::Recovery => "recovery",
            Self::MagicLink => "magiclink",
            Self::Totp => "totp",
            Self::RecoveryCode => "recovery_code",
        }
    }
}

/// One use of a method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MethodUse {
    /// Name of a [`Method`], perhaps of one that only a newer version of AtlasHub knows.
    method: String,
    /// Time of the use, in seconds since 1970.
    timestamp: i64,
}

/// The methods by which a session was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assurance {
    /// Newest first. The claim `amr`.
    pub methods: Vec<MethodUse>,
    /// Whether a second factor was among them, and has not been removed since.
    pub has_second_factor: bool,
}

impl Assurance {
    pub(super) fn parse(methods: serde_json::Value, has_second_factor: bool) -> ApiResult<Self> {
        Ok(Self { methods: serde_json::from_value(methods).map_err(ApiError::internal)?, has_second_factor })
    }

    /// Returns the authenticator assurance level, the claim `aal`.
    pub(super) fn level(&self) -> &'static str {
        if self.has_second_factor { "aal2" } else { "aal1" }
    }
}
