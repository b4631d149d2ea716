//! The second step of a login.

use api_types::{SignedInUser, VerifySecondFactor};
use serde_json::json;

use super::{
    challenge_queries::{self, ChallengedUser, Completed, LIFETIME_SECONDS, Proof},
    check::{check_totp, invalid_code},
    codes::GivenCode,
};
use crate::{
    auth::{
        AuthState,
        events::{event, record_refusal, user_event, with_email},
        limits::Attempt,
        methods::Method,
        request::ClientFacts,
        sessions::{SignInProof, end_sessions_of_changed_password, open_session, signed_in},
        users::UserRow,
    },
    db::audit,
    error::{ApiError, ApiResult, Code},
    projects::Caller,
    secrets::{random_token, sha256},
};

const PREFIX: &str = "ah_mfa_";

/// The first factor, which a user has proved.
pub(in crate::auth) struct FirstFactor<'a> {
    pub method: Method,
    /// The hash that the user's password must still have.
    pub password_hash: Option<&'a str>,
    /// The hash of the password to set once the second factor is proved.
    pub new_password_hash: Option<&'a str>,
}

/// Returns the error that asks for the second factor of a user who has one. Returns `gone` if the user was deleted,
/// disabled or changed in the meantime.
pub(in crate::auth) async fn require(
    state: &AuthState,
    project: &str,
    client: &ClientFacts,
    user: &UserRow,
    first: FirstFactor<'_>,
    gone: ApiError,
) -> ApiError {
    let token = random_token(PREFIX);
    let hash = sha256(token.as_bytes());
    match challenge_queries::insert(&state.database, project, &user.user.id, &hash, &first).await {
        Ok(true) => {}
        Ok(false) => return gone,
        Err(error) => return error,
    }
    let mut entry = user_event("auth.mfa_challenge", project, &user.user, client);
    entry.details["method"] = first.method.as_str().into();
    audit::record_or_log(&state.projects.platform, &entry).await;
    ApiError::new(Code::MfaRequired, "The second factor of the user is required.")
        .with_hint("Send `challengeToken` of the details with a code to `POST /v1/auth/mfa/verify`.")
        .with_details(json!({ "challengeToken": token, "expiresIn": LIFETIME_SECONDS }))
}

/// Checks the second factor and signs the user in.
///
/// # Errors
/// Returns 401 `invalid_token` for a challenge that is unknown or no longer valid, 401 `invalid_code` for a wrong code,
/// 404 `auth_disabled` if login is off, 429 after too many attempts from the address, and the errors of [`check_totp`].
pub(in crate::auth) async fn verify(
    state: &AuthState,
    caller: &Caller,
    client: &ClientFacts,
    request: VerifySecondFactor,
) -> ApiResult<SignedInUser> {
    let project = caller.project.id.as_str();
    let settings = state.settings.enabled(project).await?;
    let charged = state.limits.begin(Attempt::SecondFactor, caller, client.address, None)?;
    let hash = sha256(request.challenge_token.as_bytes());
    let user = challenge_queries::charge(&state.database, project, &hash).await?;
    let mut entry = match &user {
        Some(ChallengedUser { id, email }) => with_email(event("auth.mfa_verify", project, Some(id), client), email),
        None => event("auth.mfa_verify", project, None, client),
    };
    let proved = match &user {
        Some(user) => prove(state, project, &user.id, &hash, &request.code).await,
        None => Err(invalid_challenge()),
    };
    let (Completed { methods, has_set_password, password_hash }, method) = match proved {
        Ok(proved) => proved,
        Err(error) => {
            record_refusal(&state.projects.platform, entry, &error).await;
            return Err(error);
        }
    };
    charged.refund();
    let user = user.ok_or_else(invalid_challenge)?.id;
    entry.details["method"] = method.as_str().into();
    entry.details["password"] = has_set_password.into();
    audit::recorded(&state.projects.platform, entry, async |_| {
        if has_set_password {
            end_sessions_of_changed_password(state, project, &user, None).await?;
        }
        let proof = SignInProof { method, password_hash: password_hash.as_deref(), first_factor: Some(&methods) };
        let open = open_session(state, project, &settings, &user, proof, client).await?;
        signed_in(state, project, &settings, open.ok_or_else(invalid_challenge)?).await
    })
    .await
}

/// Checks the code, and marks the code and the challenge as used.
async fn prove(
    state: &AuthState,
    project: &str,
    user: &str,
    challenge: &[u8; 32],
    code: &str,
) -> ApiResult<(Completed, Method)> {
    let (proof, method) = match GivenCode::parse(code) {
        Some(GivenCode::Totp(code)) => (Proof::Step(check_totp(state, project, user, &code).await?.step), Method::Totp),
        Some(GivenCode::Recovery(hash)) => (Proof::RecoveryCode(hash), Method::RecoveryCode),
        None => return Err(invalid_code()),
    };
    let completed = challenge_queries::complete(&state.database, project, challenge, &proof).await?;
    Ok((completed.ok_or_else(invalid_code)?, method))
}

fn invalid_challenge() -> ApiError {
    ApiError::new(Code::InvalidToken, "The login no longer waits for a second factor.")
        .with_hint("Begin the login again. It waits for five minutes, and for at most five codes.")
}
