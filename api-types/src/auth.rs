//! End-user login: users of a project's app, their sessions, and the owner's settings.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::text_enum::text_enum;

/// Role of a user within the app. Access tokens contain it as `app_role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum UserRole {
    /// The app's owner.
    Owner,
    /// An administrator of the app.
    Admin,
    /// Everyone else.
    #[default]
    Member,
}

text_enum!(UserRole {
    Owner => "owner",
    Admin => "admin",
    Member => "member",
});

/// A user, as the app sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct User {
    /// Id of the user, a UUID. `auth.uid()` returns it in policies.
    pub id: String,
    /// E-mail address, in lowercase.
    pub email: String,
    /// When the address was verified. Null if it was not.
    pub email_verified_at: Option<DateTime<Utc>>,
    /// Role of the user within the app.
    pub role: UserRole,
    /// The app's own data about the user, which the user can change.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub data: Value,
    /// When the user was created.
    pub created_at: DateTime<Utc>,
    /// When the user was last changed.
    pub updated_at: DateTime<Utc>,
    /// When the user last signed in. Null if never.
    pub last_sign_in_at: Option<DateTime<Utc>>,
}

/// A user, as the owner sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectUser {
    /// Id of the user, a UUID.
    pub id: String,
    /// E-mail address, in lowercase.
    pub email: String,
    /// When the address was verified. Null if it was not.
    pub email_verified_at: Option<DateTime<Utc>>,
    /// Role of the user within the app.
    pub role: UserRole,
    /// The app's own data about the user, which the user can change.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub data: Value,
    /// When the user was created.
    pub created_at: DateTime<Utc>,
    /// When the user was last changed.
    pub updated_at: DateTime<Utc>,
    /// When the user last signed in. Null if never.
    pub last_sign_in_at: Option<DateTime<Utc>>,
    /// When the owner disabled the user. Null if the user may sign in.
    pub disabled_at: Option<DateTime<Utc>>,
    /// Whether the user has a password. Without one, a user signs in with a mailed link or sets one with a reset link.
    pub has_password: bool,
    /// Number of sessions that have not ended.
    pub sessions: i64,
}

/// The way in which an access token is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TokenType {
    /// In the header `authorization: Bearer <access token>`.
    Bearer,
}

/// The tokens of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserSession {
    /// Signed token (JWT) for requests of the user.
    pub access_token: String,
    /// How the access token is sent.
    pub token_type: TokenType,
    /// Lifetime of the access token, in seconds.
    pub expires_in: i64,
    /// When the access token expires, in seconds since 1970.
    pub expires_at: i64,
    /// Token to exchange for the next tokens of the session. It can be exchanged once. If the exchange is repeated
    /// within 10 seconds, it returns the same next refresh token.
    pub refresh_token: String,
}

/// A new user to sign up.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignUp {
    /// E-mail address.
    pub email: String,
    /// Password.
    pub password: String,
    /// The app's own data about the user, a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub data: Option<Value>,
}

/// The response to a sign-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedUp {
    /// The user. If `session` is null, another user may already have the address. The response does not reveal this,
    /// and no user has the id in it. Don't store the id before the user has signed in.
    pub user: User,
    /// The session. Null if the project requires a verified address.
    pub session: Option<UserSession>,
}

/// An e-mail address and a password.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogIn {
    /// E-mail address.
    pub email: String,
    /// Password.
    pub password: String,
}

/// A signed-in user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedInUser {
    /// The user.
    pub user: User,
    /// The session.
    pub session: UserSession,
}

/// A refresh token to exchange.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RefreshSession {
    /// Refresh token from the last response.
    pub refresh_token: String,
}

/// The sessions of a user to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum LogOutScope {
    /// The session of the access token.
    #[default]
    Local,
    /// All sessions but that of the access token.
    Others,
    /// All sessions.
    Global,
}

text_enum!(LogOutScope {
    Local => "local",
    Others => "others",
    Global => "global",
});

/// A request to end sessions.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogOut {
    /// Which sessions to end (default `local`).
    #[serde(default)]
    pub scope: LogOutScope,
}

/// The signed-in user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CurrentUser {
    /// The user.
    pub user: User,
}

/// Changes to the signed-in user. Fields that are absent stay as they are.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateCurrentUser {
    /// Members to set in the user's data. A member that is null is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub data: Option<Value>,
    /// New e-mail address. It takes effect when the user confirms it through the mailed link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// New password. Ends the user's other sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The current password. Required for a new one, if the user has a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_password: Option<String>,
}

/// A token from a mailed link.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VerifyEmail {
    /// The parameter `token` of the mailed link.
    pub token: String,
}

/// A request to mail a link that resets the password.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecoverAccount {
    /// E-mail address.
    pub email: String,
}

/// An accepted request. The response does not reveal whether the address has an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecoveryAccepted {}

/// A request to mail a sign-in link.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AskForMagicLink {
    /// E-mail address.
    pub email: String,
}

/// A token from a mailed sign-in link.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConfirmMagicLink {
    /// The parameter `token` of the mailed link.
    pub token: String,
}

/// A new password, with a token from a mailed link.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResetPassword {
    /// The parameter `token` of the mailed link.
    pub token: String,
    /// The new password.
    pub password: String,
}

/// The public keys that verify a project's access tokens (RFC 7517).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JsonWebKeySet {
    /// The keys, newest first.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub keys: Vec<Value>,
}

/// The new signing key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RotatedSigningKey {
    /// Id of the key that signs access tokens from now on.
    pub kid: String,
}
