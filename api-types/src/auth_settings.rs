//! The owner's settings of end-user login, and changes to users.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::UserRole;

/// Settings of end-user login in a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthSettings {
    /// Whether end users can sign in.
    pub enabled: bool,
    /// Whether new users can sign up themselves.
    pub allow_signup: bool,
    /// Whether users must verify their e-mail address before they can sign in.
    pub require_verified_email: bool,
    /// Whether users can sign in with a mailed link instead of a password.
    pub allow_magic_link: bool,
    /// Lifetime of an access token, in seconds.
    pub access_token_seconds: i32,
    /// Days without a refresh after which a session ends.
    pub refresh_token_days: i32,
    /// Minimum number of characters of a password.
    pub password_min_length: i32,
    /// Whether every request with an access token checks that its session has not ended.
    pub check_session: bool,
    /// Base URL of the app, for mailed links. Null if no mail is to be sent.
    pub site_url: Option<String>,
    /// Claim `iss` of access tokens.
    pub issuer: String,
    /// Path of the links that verify an e-mail address or confirm a new one, below `siteUrl`.
    pub verify_path: String,
    /// Path of the link that resets a password, below `siteUrl`.
    pub reset_path: String,
    /// Path of the sign-in link, below `siteUrl`.
    pub magic_link_path: String,
    /// The project's own mails, by kind: `verify`, `reset`, `changeEmail`, `emailTaken`, `magicLink`. A kind that is
    /// null uses AtlasHub's text.
    pub mail_texts: MailTexts,
    /// Whether the server is configured to send mail. If not, no links are mailed.
    pub mail_configured: bool,
}

/// Changes to the settings of end-user login. Fields that are absent stay as they are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateAuthSettings {
    /// Whether end users can sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether new users can sign up themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_signup: Option<bool>,
    /// Whether users must verify their e-mail address before they can sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_verified_email: Option<bool>,
    /// Whether users can sign in with a mailed link instead of a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_magic_link: Option<bool>,
    /// Lifetime of an access token in seconds, 120 to 86400. 1 to 30 are allowed for tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_seconds: Option<i32>,
    /// Days without a refresh after which a session ends, 1 to 3650.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token_days: Option<i32>,
    /// Minimum number of characters of a password, 6 to 128.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_min_length: Option<i32>,
    /// Whether every request with an access token checks that its session has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_session: Option<bool>,
    /// Base URL of the app, for mailed links, for example `https://app.example.com`. Null for none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::nullable::deserialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub site_url: Option<Option<String>>,
    /// Claim `iss` of access tokens. Null for the default, `<public URL>/v1/auth/<project>`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::nullable::deserialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub issuer: Option<Option<String>>,
    /// Path of the links that verify an e-mail address or confirm a new one, below `siteUrl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify_path: Option<String>,
    /// Path of the link that resets a password, below `siteUrl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_path: Option<String>,
    /// Path of the sign-in link, below `siteUrl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub magic_link_path: Option<String>,
    /// The project's own mails. Replaces those of all kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_texts: Option<MailTexts>,
}

/// A project's own mails, by kind. A kind that is null uses AtlasHub's text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MailTexts {
    /// Mail with the link that verifies an e-mail address.
    #[serde(default)]
    pub verify: Option<MailText>,
    /// Mail with the link that resets a password.
    #[serde(default)]
    pub reset: Option<MailText>,
    /// Mail with the link that confirms a new e-mail address.
    #[serde(default)]
    pub change_email: Option<MailText>,
    /// Mail to the holder of an e-mail address that someone tried to use for another account.
    #[serde(default)]
    pub email_taken: Option<MailText>,
    /// Mail with the sign-in link.
    #[serde(default)]
    pub magic_link: Option<MailText>,
}

/// A mail. `{{link}}`, `{{email}}` and `{{project}}` are replaced by their values. Every text must contain `{{link}}`,
/// except those of the kind `emailTaken`, which has no link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MailText {
    /// Subject, one line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// HTML, in which values are escaped. Without it, the mail contains plain text only.
    #[serde(default)]
    pub html: Option<String>,
}

/// A user to create.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateUser {
    /// E-mail address. It counts as verified.
    pub email: String,
    /// Password. Without one, the user can set it through a mailed link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Role of the user within the app (default `member`).
    #[serde(default)]
    pub role: UserRole,
    /// The app's own data about the user, a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub data: Option<Value>,
}

/// Changes to a user. Fields that are absent stay as they are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateUser {
    /// Role of the user within the app. Access tokens contain the new role after the next refresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<UserRole>,
    /// Whether the user is disabled. Disabling ends all sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Members to set in the user's data. A member that is null is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub data: Option<Value>,
}

/// Query parameters that select the users to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct UserQuery {
    /// Part of the e-mail address, or a whole id.
    pub search: Option<String>,
    /// Users per page, 1 to 200 (default 50).
    pub limit: Option<u32>,
    /// `nextCursor` of the previous page.
    pub cursor: Option<String>,
}
