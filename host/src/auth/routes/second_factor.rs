//! Handlers for the second factor of users.

use api_types::{
    ConfirmTotp, ErrorBody, RecoveryCodes, RemoveTotp, ReplaceRecoveryCodes, SecondFactor, SignedInUser, TotpEnrolment,
    VerifySecondFactor,
};
use axum::{extract::State, http::StatusCode};

use super::public::Private;
use crate::{
    auth::{AuthState, request::ClientFacts, second_factor},
    error::ApiResult,
    http::{ApiJson, NoFields, NoQuery, OptionalJson},
    projects::{Caller, SignedInCaller},
};

/// Verify the second factor
///
/// The second step of a login, a reset or a mailed link that returned `mfa_required`. Needs the challenge token from
/// the error's details, and a code of the authenticator app or a recovery code. Each code works once.
#[utoipa::path(post, path = "/v1/auth/mfa/verify", tag = "auth", request_body = VerifySecondFactor,
    responses((status = 200, body = SignedInUser),
        (status = 401, body = ErrorBody, description = "`invalid_code`, or `invalid_token` for the challenge"),
        (status = 404, body = ErrorBody, description = "`auth_disabled`"), (status = 429, body = ErrorBody)))]
pub(crate) async fn verify_second_factor(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    caller: Caller,
    client: ClientFacts,
    ApiJson(request): ApiJson<VerifySecondFactor>,
) -> ApiResult<Private<SignedInUser>> {
    Ok(Private(StatusCode::OK, second_factor::verify(&state, &caller, &client, request).await?))
}

/// Get the second factor
#[utoipa::path(get, path = "/v1/auth/mfa", tag = "auth",
    responses((status = 200, body = SecondFactor), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(crate) async fn get_second_factor(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    caller: SignedInCaller,
) -> ApiResult<Private<SecondFactor>> {
    Ok(Private(StatusCode::OK, second_factor::get(&state, &caller).await?))
}

/// Set up a second factor
///
/// Returns the secret for the user's authenticator app. The factor becomes active when its first code is confirmed.
#[utoipa::path(post, path = "/v1/auth/mfa/totp", tag = "auth",
    responses((status = 201, body = TotpEnrolment), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "The user has a second factor")))]
pub(crate) async fn enrol_totp(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    caller: SignedInCaller,
    client: ClientFacts,
    OptionalJson(_): OptionalJson<NoFields>,
) -> ApiResult<Private<TotpEnrolment>> {
    Ok(Private(StatusCode::CREATED, second_factor::enrol(&state, &caller, &client).await?))
}

/// Activate the second factor
///
/// Checks the first code of the authenticator app. Returns recovery codes, which are not shown again, and ends the
/// user's other sessions.
#[utoipa::path(post, path = "/v1/auth/mfa/totp/confirm", tag = "auth", request_body = ConfirmTotp,
    responses((status = 200, body = RecoveryCodes),
        (status = 401, body = ErrorBody, description = "Not signed in, or `invalid_code`"),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "No setup was started, or the factor is already active"),
        (status = 429, body = ErrorBody)))]
pub(crate) async fn confirm_totp(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    caller: SignedInCaller,
    client: ClientFacts,
    ApiJson(request): ApiJson<ConfirmTotp>,
) -> ApiResult<Private<RecoveryCodes>> {
    Ok(Private(StatusCode::OK, second_factor::confirm(&state, &caller, &client, request).await?))
}

/// Replace the recovery codes
///
/// Needs a code of the authenticator app. The previous recovery codes stop working.
#[utoipa::path(post, path = "/v1/auth/mfa/recovery-codes", tag = "auth", request_body = ReplaceRecoveryCodes,
    responses((status = 200, body = RecoveryCodes),
        (status = 401, body = ErrorBody, description = "Not signed in, or `invalid_code`"),
        (status = 404, body = ErrorBody, description = "There is no second factor, or `auth_disabled`"),
        (status = 429, body = ErrorBody)))]
pub(crate) async fn replace_recovery_codes(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    caller: SignedInCaller,
    client: ClientFacts,
    ApiJson(request): ApiJson<ReplaceRecoveryCodes>,
) -> ApiResult<Private<RecoveryCodes>> {
    Ok(Private(StatusCode::OK, second_factor::replace_codes(&state, &caller, &client, request).await?))
}

/// Remove the second factor
///
/// Needs either the password, or a code of the authenticator app, or a recovery code.
#[utoipa::path(delete, path = "/v1/auth/mfa/totp", tag = "auth", request_body = RemoveTotp,
    responses((status = 204), (status = 400, body = ErrorBody),
        (status = 401, body = ErrorBody, description = "Not signed in, `invalid_credentials` or `invalid_code`"),
        (status = 404, body = ErrorBody, description = "The user has no second factor, or `auth_disabled`"),
        (status = 429, body = ErrorBody)))]
pub(crate) async fn remove_totp(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    caller: SignedInCaller,
    client: ClientFacts,
    ApiJson(request): ApiJson<RemoveTotp>,
) -> ApiResult<StatusCode> {
    second_factor::remove(&state, &caller, &client, request).await?;
    Ok(StatusCode::NO_CONTENT)
}
