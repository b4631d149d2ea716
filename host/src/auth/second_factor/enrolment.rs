//! Sets up and removes second factors, and replaces recovery codes.

use api_types::{
    ConfirmTotp, ProjectUser, RecoveryCodes, RemoveTotp, ReplaceRecoveryCodes, SecondFactor, TotpEnrolment,
};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    check::{RightCode, check_totp, invalid_code, secret_identity},
    codes::{GivenCode, recovery_codes},
    queries::{self, StoredFactor},
    totp::TotpSecret,
};
use crate::{
    auth::{
        AuthState,
        account::current_account,
        administration,
        events::{record_refusal, separate_refusal, user_event},
        limits::Attempt,
        login::{ids_of, invalid_credentials},
        mailed_tokens, password_policy,
        queries::Account,
        request::ClientFacts,
    },
    db::audit,
    error::{ApiError, ApiResult, Code},
    projects::SignedInCaller,
};

/// Returns the second factor of the signed-in user.
pub(in crate::auth) async fn get(state: &AuthState, caller: &SignedInCaller) -> ApiResult<SecondFactor> {
    let account = current_account(state, caller).await?;
    let stored = queries::factor(&state.database, &caller.project.id, &account.row.user.id).await?;
    let active = stored.filter(|factor| factor.confirmed_at.is_some());
    Ok(match active {
        Some(StoredFactor { confirmed_at, recovery_codes_left }) => SecondFactor { confirmed_at, recovery_codes_left },
        None => SecondFactor { confirmed_at: None, recovery_codes_left: 0 },
    })
}

/// Begins to set up a second factor. It becomes active with its first code, in [`confirm`].
///
/// # Errors
/// Returns 401 if the session has ended, and 409 if the user has an active second factor.
pub(in crate::auth) async fn enrol(
    state: &AuthState,
    caller: &SignedInCaller,
    client: &ClientFacts,
) -> ApiResult<TotpEnrolment> {
    let project = &caller.project;
    let account = current_account(state, caller).await?;
    let user = &account.row.user;
    let secret = TotpSecret::generate();
    let sealed = state.data_keys.seal(secret.as_bytes(), &secret_identity(&user.id)).await?;
    let entry = user_event("auth.mfa_enrol", &project.id, user, client);
    audit::recorded(&state.projects.platform, entry, async |entry| {
        let stored = queries::store_pending(&state.database, &project.id, &user.id, &sealed).await;
        separate_refusal(entry, stored.and_then(|stored| stored.then_some(()).ok_or_else(has_factor)))
    })
    .await??;
    Ok(TotpEnrolment { secret: secret.to_base32(), uri: secret.to_uri(&project.name, &user.email) })
}

/// Activates the second factor, and ends the user's other sessions. Returns the recovery codes, of which only hashes
/// are stored.
///
/// # Errors
/// Returns 401 if the session has ended, 409 if no second factor is being set up or it is active already, and the
/// errors of [`check_totp`].
pub(in crate::auth) async fn confirm(
    state: &AuthState,
    caller: &SignedInCaller,
    client: &ClientFacts,
    request: ConfirmTotp,
) -> ApiResult<RecoveryCodes> {
    let project = caller.project.id.as_str();
    let (_, session) = ids_of(&caller.user)?;
    let account = current_account(state, caller).await?;
    let user = account.row.user.id.as_str();
    match queries::factor(&state.database, project, user).await? {
        None => return Err(nothing_to_confirm()),
        Some(StoredFactor { confirmed_at: Some(_), .. }) => return Err(has_factor()),
        Some(_) => {}
    }
    let entry = user_event("auth.mfa_confirm", project, &account.row.user, client);
    let RightCode { factor, step } = match check_app_code(state, project, user, &request.code).await {
        Ok(right) => right,
        Err(error) => {
            record_refusal(&state.projects.platform, entry, &error).await;
            return Err(error);
        }
    };
    let codes = recovery_codes();
    let hashes: Vec<_> = codes.iter().map(|code| code.hash).collect();
    audit::recorded(&state.projects.platform, entry, async |entry| {
        let (owner, secret) = ((user, session), (factor.sealed.as_slice(), step));
        let activated = queries::activate(&state.database, project, owner, secret, &hashes).await;
        let activated = activated.and_then(|activated| activated.then_some(()).ok_or_else(nothing_to_confirm));
        // One of the sessions that ended may have requested a change of the e-mail address while the statement ran. The
        // factor is active, so the response must contain the recovery codes even if the change can't be cancelled.
        if activated.is_ok()
            && let Err(error) = mailed_tokens::cancel_email_change(&state.database, project, user).await
        {
            tracing::error!(project, user, cause = error.cause(), "a change of an e-mail address was not cancelled");
        }
        separate_refusal(entry, activated)
    })
    .await??;
    Ok(RecoveryCodes { recovery_codes: codes.into_iter().map(|code| code.text).collect() })
}

/// Replaces the recovery codes of the signed-in user, if the code of the authenticator app is right. The previous codes
/// stop working.
///
/// # Errors
/// Returns 401 if the session has ended, 404 if the user has no second factor, and the errors of [`check_totp`].
pub(in crate::auth) async fn replace_codes(
    state: &AuthState,
    caller: &SignedInCaller,
    client: &ClientFacts,
    request: ReplaceRecoveryCodes,
) -> ApiResult<RecoveryCodes> {
    let project = caller.project.id.as_str();
    let account = current_account(state, caller).await?;
    let user = account.row.user.id.as_str();
    if account.row.second_factor_at.is_none() {
        return Err(no_factor());
    }
    let entry = user_event("auth.mfa_recovery_codes", project, &account.row.user, client);
    let RightCode { step, .. } = match check_app_code(state, project, user, &request.code).await {
        Ok(right) => right,
        Err(error) => {
            record_refusal(&state.projects.platform, entry, &error).await;
            return Err(error);
        }
    };
    let codes = recovery_codes();
    let hashes: Vec<_> = codes.iter().map(|code| code.hash).collect();
    audit::recorded(&state.projects.platform, entry, async |entry| {
        let replaced = queries::replace_recovery_codes(&state.database, project, user, step, &hashes).await;
        let refusal = || without_recovery_codes(invalid_code());
        separate_refusal(entry, replaced.and_then(|replaced| replaced.then_some(()).ok_or_else(refusal)))
    })
    .await??;
    Ok(RecoveryCodes { recovery_codes: codes.into_iter().map(|code| code.text).collect() })
}

/// Removes the second factor of the signed-in user, if the password or a code is right.
///
/// # Errors
/// Returns 400 unless the request contains either a password or a code, and 401 if the session has ended. Returns 401
/// `invalid_credentials` or `invalid_code` if the password or the code is wrong, 404 if the user has no second factor,
/// 422 if the secret can't be opened, 429 after too many attempts, and 503 if too many passwords are being hashed.
pub(in crate::auth) async fn remove(
    state: &AuthState,
    caller: &SignedInCaller,
    client: &ClientFacts,
    request: RemoveTotp,
) -> ApiResult<()> {
    let project = caller.project.id.as_str();
    let account = current_account(state, caller).await?;
    let user = account.row.user.id.as_str();
    let proof = match (request.password, request.code) {
        (Some(password), None) => RemovalProof::Password(Zeroizing::new(password)),
        (None, Some(code)) => RemovalProof::Code(code),
        _ => return Err(ApiError::invalid("Send either `password` or `code`.")),
    };
    if account.row.second_factor_at.is_none() {
        return Err(no_factor());
    }
    // The password is checked again when the factor is removed, because it may be changed in the meantime.
    let password_hash = match &proof {
        RemovalProof::Password(_) => account.password_hash.as_deref(),
        RemovalProof::Code(_) => None,
    };
    let entry = user_event("auth.mfa_remove", project, &account.row.user, client);
    if let Err(error) = check_proof(state, project, &account, proof).await {
        record_refusal(&state.projects.platform, entry, &error).await;
        return Err(error);
    }
    audit::recorded(&state.projects.platform, entry, async |entry| {
        let removed = queries::remove(&state.database, project, user, password_hash).await;
        let removed = removed.and_then(|removed| match removed {
            true => Ok(()),
            false if password_hash.is_some() => Err(invalid_credentials()),
            false => Err(no_factor()),
        });
        separate_refusal(entry, removed)
    })
    .await?
}

/// Checks a code that must be one of the authenticator app, not a recovery code.
///
/// # Errors
/// Returns 401 `invalid_code` for a code of another kind, and the errors of [`check_totp`].
async fn check_app_code(state: &AuthState, project: &str, user: &str, code: &str) -> ApiResult<RightCode> {
    let checked = match GivenCode::parse(code) {
        Some(GivenCode::Totp(code)) => check_totp(state, project, user, &code).await,
        _ => Err(invalid_code()),
    };
    checked.map_err(without_recovery_codes)
}

/// Replaces a hint that suggests a recovery code, where only a code of the authenticator app is accepted.
fn without_recovery_codes(error: ApiError) -> ApiError {
    match error.code() {
        Code::InvalidCode => error.with_hint("Wait for the next code of the authenticator app."),
        Code::RateLimited => error.with_hint("Wait for the number of seconds in `Retry-After`, then try again."),
        Code::Unprocessable => error.with_hint(
            "Set the factor up again with `POST /v1/auth/mfa/totp`. If it is active, remove it first, with the \
             password or a recovery code.",
        ),
        _ => error,
    }
}

enum RemovalProof {
    Password(Zeroizing<String>),
    Code(String),
}

async fn check_proof(state: &AuthState, project: &str, account: &Account, proof: RemovalProof) -> ApiResult<()> {
    let user = account.row.user.id.as_str();
    let is_right = match proof {
        RemovalProof::Password(password) => {
            state.limits.charge_account(Attempt::SecondFactor, project, user)?;
            let hash = account.password_hash.as_deref();
            let is_right = password.len() <= password_policy::MAX_BYTES && state.hasher.verify(password, hash).await?;
            return if is_right { Ok(()) } else { Err(invalid_credentials()) };
        }
        RemovalProof::Code(code) => match GivenCode::parse(&code) {
            Some(GivenCode::Totp(code)) => {
                let RightCode { factor, step } = check_totp(state, project, user, &code).await?;
                factor.is_confirmed && queries::use_step(&state.database, project, user, step).await?
            }
            Some(GivenCode::Recovery(hash)) => {
                state.limits.charge_account(Attempt::SecondFactor, project, user)?;
                queries::use_recovery_code(&state.database, project, user, &hash).await?
            }
            None => false,
        },
    };
    if is_right { Ok(()) } else { Err(invalid_code()) }
}

/// Removes a user's second factor, at the owner's request. Returns the user's e-mail address.
///
/// # Errors
/// Returns 404 if there is no such user or the user has no second factor, and 404 `auth_disabled` if login is off.
pub(in crate::auth) async fn remove_as_owner(state: &AuthState, project: &str, user: Uuid) -> ApiResult<String> {
    let ProjectUser { email, .. } = administration::get(state, project, user).await?;
    queries::remove(&state.database, project, &user.to_string(), None).await?.then_some(email).ok_or_else(no_factor)
}

fn has_factor() -> ApiError {
    ApiError::new(Code::Conflict, "The user has a second factor.")
        .with_hint("Remove it with `DELETE /v1/auth/mfa/totp` to set up another one.")
}

fn nothing_to_confirm() -> ApiError {
    ApiError::new(Code::Conflict, "No second factor is being set up, or its secret was replaced in the meantime.")
        .with_hint("Begin with `POST /v1/auth/mfa/totp`.")
}

fn no_factor() -> ApiError {
    ApiError::not_found("second factor")
}
