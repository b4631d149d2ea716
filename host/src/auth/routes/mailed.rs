//! Handlers for mailed links: verifying an e-mail address, resetting a password, and signing in.

use api_types::{
    AskForMagicLink, ConfirmMagicLink, ErrorBody, RecoverAccount, RecoveryAccepted, ResetPassword, SignedInUser,
    VerifyEmail,
};
use axum::{extract::State, http::StatusCode};

use super::public::Private;
use crate::{
    auth::{AuthState, magic_link, recovery, request::ClientFacts},
    error::ApiResult,
    http::{ApiJson, NoQuery},
    projects::Caller,
};

/// Verify an e-mail address
///
/// Uses the token of a mailed link, which works once within an hour. Verifies the e-mail address of a user who signed
/// up, or confirms a new one, and signs the user in.
#[utoipa::path(post, path = "/v1/auth/verify", tag = "auth", request_body = VerifyEmail,
    responses((status = 200, body = SignedInUser),
        (status = 401, body = ErrorBody, description = "`invalid_token`"),
        (status = 403, body = ErrorBody, description = "`mfa_required`"),
        (status = 404, body = ErrorBody, description = "`auth_disabled`"),
        (status = 409, body = ErrorBody, description = "`email_taken`"), (status = 429, body = ErrorBody)))]
pub(crate) async fn verify_email(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    caller: Caller,
    client: ClientFacts,
    ApiJson(request): ApiJson<VerifyEmail>,
) -> ApiResult<Private<SignedInUser>> {
    Ok(Private(StatusCode::OK, recovery::verify(&state, &caller, &client, request.token).await?))
}

/// Ask for a link to reset a password
///
/// Mails the link if the e-mail address has an account. The response is the same if it has none, or if no link can be
/// mailed for the project.
#[utoipa::path(post, path = "/v1/auth/recover", tag = "auth", request_body = RecoverAccount,
    responses((status = 202, body = RecoveryAccepted),
        (status = 404, body = ErrorBody, description = "`auth_disabled`"), (status = 429, body = ErrorBody)))]
pub(crate) async fn recover_account(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    caller: Caller,
    client: ClientFacts,
    ApiJson(request): ApiJson<RecoverAccount>,
) -> ApiResult<Private<RecoveryAccepted>> {
    recovery::recover(&state, &caller, &client, request.email).await?;
    Ok(Private(StatusCode::ACCEPTED, RecoveryAccepted {}))
}

/// Reset a password
///
/// Uses the token of a mailed link, which works once within an hour. Ends all sessions of the user and starts a new
/// one. If the user has a second factor, the password changes and the sessions end only after
/// `POST /v1/auth/mfa/verify`.
#[utoipa::path(post, path = "/v1/auth/reset", tag = "auth", request_body = ResetPassword,
    responses((status = 200, body = SignedInUser),
        (status = 400, body = ErrorBody, description = "`weak_password`; the token still works"),
        (status = 401, body = ErrorBody, description = "`invalid_token`"),
        (status = 403, body = ErrorBody, description = "`mfa_required`"),
        (status = 404, body = ErrorBody, description = "`auth_disabled`"), (status = 429, body = ErrorBody)))]
pub(crate) async fn reset_password(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    caller: Caller,
    client: ClientFacts,
    ApiJson(request): ApiJson<ResetPassword>,
) -> ApiResult<Private<SignedInUser>> {
    Ok(Private(StatusCode::OK, recovery::reset(&state, &caller, &client, request).await?))
}

/// Ask for a link to sign in
///
/// Mails a link that signs in without a password, if the e-mail address has an account. The response is the same if it
/// has none.
#[utoipa::path(post, path = "/v1/auth/magic-link", tag = "auth", request_body = AskForMagicLink,
    responses((status = 202, body = RecoveryAccepted),
        (status = 403, body = ErrorBody, description = "`magic_link_disabled`"),
        (status = 404, body = ErrorBody, description = "`auth_disabled`"),
        (status = 422, body = ErrorBody, description = "No link can be mailed"), (status = 429, body = ErrorBody)))]
pub(crate) async fn ask_for_magic_link(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    caller: Caller,
    client: ClientFacts,
    ApiJson(request): ApiJson<AskForMagicLink>,
) -> ApiResult<Private<RecoveryAccepted>> {
    magic_link::ask(&state, &caller, &client, request.email).await?;
    Ok(Private(StatusCode::ACCEPTED, RecoveryAccepted {}))
}

/// Sign in with a mailed link
///
/// Uses the token of the link, which works once within 15 minutes. Verifies the user's e-mail address, too. If the
/// address was not verified before and the user has no second factor, removes the password and ends all sessions: they
/// may belong to someone else who signed up with the address.
#[utoipa::path(post, path = "/v1/auth/magic-link/confirm", tag = "auth", request_body = ConfirmMagicLink,
    responses((status = 200, body = SignedInUser),
        (status = 401, body = ErrorBody, description = "`invalid_token`"),
        (status = 403, body = ErrorBody, description = "`magic_link_disabled` or `mfa_required`"),
        (status = 404, body = ErrorBody, description = "`auth_disabled`"), (status = 429, body = ErrorBody)))]
pub(crate) async fn confirm_magic_link(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    caller: Caller,
    client: ClientFacts,
    ApiJson(request): ApiJson<ConfirmMagicLink>,
) -> ApiResult<Private<SignedInUser>> {
    Ok(Private(StatusCode::OK, magic_link::confirm(&state, &caller, &client, request.token).await?))
}
