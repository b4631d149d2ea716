//! The second factor of end users: an app that shows codes (TOTP, RFC 6238), and recovery codes.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The second factor of the signed-in user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SecondFactor {
    /// When the user confirmed the second factor. Null if there is none; a login then needs only one factor.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// Number of recovery codes that were not used.
    pub recovery_codes_left: i64,
}

/// A second factor that is not active yet.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TotpEnrolment {
    /// The secret in base32, to type into an authenticator app.
    pub secret: String,
    /// The secret as an `otpauth://` URI, to show as a QR code.
    pub uri: String,
}

/// A code of the authenticator app, which confirms that the app has the secret.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConfirmTotp {
    /// Six digits.
    pub code: String,
}

/// A request for new recovery codes.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReplaceRecoveryCodes {
    /// A code of the authenticator app: six digits.
    pub code: String,
}

/// Codes that replace the authenticator app if it is lost. Each works once. They are not shown again.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecoveryCodes {
    /// The codes.
    pub recovery_codes: Vec<String>,
}

/// A proof that the user may remove the second factor. Exactly one field must be set.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RemoveTotp {
    /// The user's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// A code of the authenticator app, or a recovery code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// The second step of a login.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VerifySecondFactor {
    /// `challengeToken` in the details of the error `mfa_required`.
    pub challenge_token: String,
    /// A code of the authenticator app, or a recovery code.
    pub code: String,
}
