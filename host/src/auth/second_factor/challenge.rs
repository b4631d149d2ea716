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
        events::{event, separate_refusal, user_event, with_email},
        limits::Attempt,
        methods::Method,
        request::ClientFacts,
        sessions::{SignInProof, open_session, signed_in},
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

/// Returns the error that asks for the second factor of a user who has one. Returns `gone` if, in the meantime, the
/// user was deleted or disabled, the password was changed, or the second factor was removed.
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
/// 404 `auth_disabled` if login is off, 429 after too many attempts from the IP address, and the errors of
/// [`check_totp`].
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
    let entry = match &user {
        Some(ChallengedUser { id, email, .. }) => {
            with_email(event("auth.mfa_verify", project, Some(id), client), email)
        }
        None => event("auth.mfa_verify", project, None, client),
    };
    audit::recorded(&state.projects.platform, entry, async |entry| {
        let proved = match &user {
            Some(user) => prove(state, project, user, &hash, &request.code).await.map(|proved| (user, proved)),
            None => Err(invalid_challenge()),
        };
        let (user, (Completed { methods, password_hash }, method)) = match separate_refusal(entry, proved)? {
            Ok(proved) => proved,
            Err(error) => return Ok(Err(error)),
        };
        charged.refund();
        entry.details["method"] = method.as_str().into();
        entry.details["password"] = user.sets_password.into();
        let proof = SignInProof { method, password_hash: password_hash.as_deref(), first_factor: Some(&methods) };
        let open = open_session(state, project, &settings, &user.id, proof, client).await?;
        match separate_refusal(entry, open.ok_or_else(invalid_challenge))? {
            Ok(open) => signed_in(state, project, &settings, open).await.map(Ok),
            Err(error) => Ok(Err(error)),
        }
    })
    .await?
}

/// Checks the code, and marks the code and the challenge as used.
async fn prove(
    state: &AuthState,
    project: &str,
    user: &ChallengedUser,
    challenge: &[u8; 32],
    code: &str,
) -> ApiResult<(Completed, Method)> {
    let (proof, method) = match GivenCode::parse(code) {
        Some(GivenCode::Totp(code)) => {
            (Proof::Step(check_totp(state, project, &user.id, &code).await?.step), Method::Totp)
        }
        Some(GivenCode::Recovery(hash)) => (Proof::RecoveryCode(hash), Method::RecoveryCode),
        None => return Err(invalid_code()),
    };
    let completed = challenge_queries::complete(&state.database, project, user, challenge, &proof).await?;
    Ok((completed.ok_or_else(invalid_code)?, method))
}

fn invalid_challenge() -> ApiError {
    ApiError::new(Code::InvalidToken, "The login no longer waits for a second factor.")
        .with_hint("Begin the login again. It waits for five minutes, and for at most five codes.")
}
