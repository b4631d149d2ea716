//! Verifies addresses and resets passwords with mailed links, and mails the links that reset passwords.

use api_types::{ResetPassword, SignedInUser};
use zeroize::Zeroizing;

use super::{
    AuthState,
    events::{event, record_refusal, user_event},
    limits::Attempt,
    mailed_tokens::{self, Purpose, invalid_token},
    methods::Method,
    password_policy,
    request::ClientFacts,
    requested_links::{LinkRequest, mail_requested_link},
    second_factor::{self, FirstFactor},
    sessions::{SignInProof, end_sessions_of_changed_password, open_session, signed_in},
    users::UserRow,
};
use crate::{
    db::audit,
    error::ApiResult,
    projects::{Caller, StoredAuthSettings},
};

/// Mails the link that resets a password, if the address has an account.
///
/// # Errors
/// Returns 404 `auth_disabled` if login is off, and 429 if the client made too many requests.
pub(super) async fn recover(state: &AuthState, caller: &Caller, client: &ClientFacts, email: String) -> ApiResult<()> {
    let settings = state.settings.enabled(&caller.project.id).await?;
    let request = LinkRequest { purpose: Purpose::Reset, event: "auth.recover", client: client.clone(), email };
    mail_requested_link(state, caller, settings, request).await
}

/// Verifies an address, or confirms a new one, and signs the user in.
///
/// # Errors
/// Returns 401 `invalid_token` if the token is not valid, 403 `mfa_required` if the user has a second factor, 404
/// `auth_disabled` if login is off, 409 `email_taken` if another user has the new address by now, and 429 after too
/// many attempts.
pub(super) async fn verify(
    state: &AuthState,
    caller: &Caller,
    client: &ClientFacts,
    token: String,
) -> ApiResult<SignedInUser> {
    let project = caller.project.id.as_str();
    let settings = state.settings.enabled(project).await?;
    let charged = state.limits.begin(Attempt::MailedToken, caller, client.address, None)?;
    match mailed_tokens::use_for_verification(&state.database, project, &token).await {
        Ok(Some((row, purpose))) => {
            charged.refund();
            let method = if purpose == Purpose::ChangeEmail { Method::EmailChange } else { Method::Verification };
            finish(state, project, &settings, client, &row, ("auth.verify", method)).await
        }
        Ok(None) => refuse(state, project, client, "auth.verify").await,
        Err(error) => Err(error),
    }
}

/// Sets a new password, ends all sessions of the user, and signs the user in. If the user has a second factor, all of
/// this happens after that factor is proved, so that access to the user's mail is not enough to change the password.
///
/// # Errors
/// Returns 400 for a `weak_password`; the token can then still be used. Returns 401 `invalid_token` if the token is not
/// valid, 403 `mfa_required` if the user has a second factor, 404 `auth_disabled` if login is off, 429 after too many
/// attempts, and 503 if too many passwords are being hashed.
pub(super) async fn reset(
    state: &AuthState,
    caller: &Caller,
    client: &ClientFacts,
    request: ResetPassword,
) -> ApiResult<SignedInUser> {
    let project = caller.project.id.as_str();
    let settings = state.settings.enabled(project).await?;
    let ResetPassword { token, password } = request;
    let password = Zeroizing::new(password);
    let charged = state.limits.begin(Attempt::MailedToken, caller, client.address, None)?;
    // The token is checked before the password is hashed, which takes much longer.
    let Some(target) = mailed_tokens::reset_target(&state.database, project, &token).await? else {
        return refuse(state, project, client, "auth.reset").await;
    };
    charged.refund();
    password_policy::check(&password, settings.password_min_length, &target.email)?;
    let hash = state.hasher.hash(password).await?;
    if target.has_second_factor {
        return match mailed_tokens::use_for_guarded_reset(&state.database, project, &token).await? {
            Some(row) => {
                let method = Method::Recovery;
                let first = FirstFactor { method, password_hash: None, new_password_hash: Some(&hash) };
                Err(second_factor::require(state, project, client, &row, first, invalid_token()).await)
            }
            None => refuse(state, project, client, "auth.reset").await,
        };
    }
    match mailed_tokens::use_for_reset(&state.database, project, &token, &hash).await? {
        Some(row) => {
            end_sessions_of_changed_password(state, project, &row.user.id, None).await?;
            finish(state, project, &settings, client, &row, ("auth.reset", Method::Recovery)).await
        }
        None => refuse(state, project, client, "auth.reset").await,
    }
}

/// Signs in the user of a mailed link, or returns the error that asks for the second factor.
pub(super) async fn finish(
    state: &AuthState,
    project: &str,
    settings: &StoredAuthSettings,
    client: &ClientFacts,
    row: &UserRow,
    (action, method): (&str, Method),
) -> ApiResult<SignedInUser> {
    let user = row.user.id.as_str();
    audit::record_or_log(&state.projects.platform, &user_event(action, project, &row.user, client)).await;
    if row.second_factor_at.is_some() {
        let first = FirstFactor { method, password_hash: None, new_password_hash: None };
        return Err(second_factor::require(state, project, client, row, first, invalid_token()).await);
    }
    let open = open_session(state, project, settings, user, SignInProof::only(method, None), client).await?;
    signed_in(state, project, settings, open.ok_or_else(invalid_token)?).await
}

/// Records that a token was refused, and returns the error.
pub(super) async fn refuse(
    state: &AuthState,
    project: &str,
    client: &ClientFacts,
    action: &str,
) -> ApiResult<SignedInUser> {
    let error = invalid_token();
    record_refusal(&state.projects.platform, event(action, project, None, client), &error).await;
    Err(error)
}
