//! Verifies e-mail addresses and resets passwords with mailed links, and mails the links that reset passwords.

use api_types::{ResetPassword, SignedInUser};
use zeroize::Zeroizing;

use super::{
    AuthState,
    events::{event, record_refusal, separate_refusal, set_user, with_email},
    limits::Attempt,
    mailed_tokens::{self, Purpose, invalid_token},
    methods::Method,
    password_policy,
    request::ClientFacts,
    requested_links::{LinkRequest, mail_requested_link},
    second_factor::{self, FirstFactor},
    sessions::{SignInProof, open_session, signed_in},
    users::UserRow,
};
use crate::{
    db::audit::{self, NewAuditEntry},
    error::{ApiError, ApiResult},
    projects::{Caller, StoredAuthSettings},
};

/// Mails the link that resets a password, if the e-mail address has an account. Does nothing, without an error, if no
/// link can be mailed for the project.
///
/// # Errors
/// Returns 404 `auth_disabled` if login is off, and 429 if the client made too many requests.
pub(super) async fn recover(state: &AuthState, caller: &Caller, client: &ClientFacts, email: String) -> ApiResult<()> {
    let settings = state.settings.enabled(&caller.project.id).await?;
    let request = LinkRequest { purpose: Purpose::Reset, event: "auth.recover", client: client.clone(), email };
    mail_requested_link(state, caller, settings, request).await
}

/// Verifies an e-mail address, or confirms a new one, and signs the user in.
///
/// # Errors
/// Returns 401 `invalid_token` if the token is not valid, 403 `mfa_required` if the user has a second factor, 404
/// `auth_disabled` if login is off, 409 `email_taken` if another user has the new e-mail address by now, and 429 after
/// too many attempts.
pub(super) async fn verify(
    state: &AuthState,
    caller: &Caller,
    client: &ClientFacts,
    token: String,
) -> ApiResult<SignedInUser> {
    let project = caller.project.id.as_str();
    let settings = state.settings.enabled(project).await?;
    let charged = state.limits.begin(Attempt::MailedToken, caller, client.address, None)?;
    let using = async {
        let used = mailed_tokens::use_for_verification(&state.database, project, &token).await?;
        Ok::<_, ApiError>(used.map(|(row, purpose)| {
            (row, if purpose == Purpose::ChangeEmail { Method::EmailChange } else { Method::Verification })
        }))
    };
    let used = recorded_use(state, event("auth.verify", project, None, client), using).await?;
    charged.refund();
    finish(state, project, &settings, client, &used).await
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
        let error = invalid_token();
        record_refusal(&state.projects.platform, event("auth.reset", project, None, client), &error).await;
        return Err(error);
    };
    charged.refund();
    password_policy::check(&password, settings.password_min_length, &target.email)?;
    let hash = state.hasher.hash(password).await?;
    if target.has_second_factor {
        // Until the second factor is proved, the token only verifies the e-mail address.
        let entry = with_email(event("auth.verify", project, Some(&target.user), client), &target.email);
        let using = async {
            let row = mailed_tokens::use_for_guarded_reset(&state.database, project, &token).await?;
            Ok::<_, ApiError>(row.map(|row| (row, Method::Recovery)))
        };
        let (row, method) = recorded_use(state, entry, using).await?;
        let first = FirstFactor { method, password_hash: None, new_password_hash: Some(&hash) };
        return Err(second_factor::require(state, project, client, &row, first, invalid_token()).await);
    }
    let entry = with_email(event("auth.reset", project, Some(&target.user), client), &target.email);
    let using = async {
        let row = mailed_tokens::use_for_reset(&state.database, project, &token, &hash).await?;
        Ok::<_, ApiError>(row.map(|row| (row, Method::Recovery)))
    };
    let used = recorded_use(state, entry, using).await?;
    finish(state, project, &settings, client, &used).await
}

/// Uses a mailed token. The audit entry is written before the use, so that no later failure can lose it. The token's
/// user is added to the entry afterwards, so an anonymous entry stays anonymous if the use is interrupted. Returns the
/// user, and how the user is signed in.
///
/// # Errors
/// Returns 401 `invalid_token` if `using` returns `None`, because the token is not valid, and the errors of `using`.
pub(super) async fn recorded_use(
    state: &AuthState,
    entry: NewAuditEntry,
    using: impl Future<Output = ApiResult<Option<(UserRow, Method)>>>,
) -> ApiResult<(UserRow, Method)> {
    audit::recorded(&state.projects.platform, entry, async |entry| {
        let used = using.await.and_then(|used| used.ok_or_else(invalid_token));
        if let Ok((row, _)) = &used {
            set_user(entry, &row.user);
        }
        separate_refusal(entry, used)
    })
    .await?
}

/// Signs in the user of a mailed link, or returns the error that asks for the second factor.
pub(super) async fn finish(
    state: &AuthState,
    project: &str,
    settings: &StoredAuthSettings,
    client: &ClientFacts,
    (row, method): &(UserRow, Method),
) -> ApiResult<SignedInUser> {
    let (user, method) = (row.user.id.as_str(), *method);
    if row.second_factor_at.is_some() {
        let first = FirstFactor { method, password_hash: None, new_password_hash: None };
        return Err(second_factor::require(state, project, client, row, first, invalid_token()).await);
    }
    let open = open_session(state, project, settings, user, SignInProof::only(method, None), client).await?;
    signed_in(state, project, settings, open.ok_or_else(invalid_token)?).await
}
