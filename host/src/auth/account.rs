//! The signed-in user, and changes that users make to themselves.

use std::sync::Arc;

use api_types::{UpdateCurrentUser, User};
use zeroize::Zeroizing;

use super::{
    AuthState,
    account_queries::{self, EmailChange, NewPassword},
    email_address::EmailAddress,
    events::{record_refusal, separate_refusal, user_event},
    limits::Attempt,
    links::{mail_notice, mail_token, require_mail},
    login::{ids_of, invalid_credentials, session_ended},
    mail::MailKind,
    mailed_tokens::{self, Purpose},
    password_policy,
    queries::{self, Account},
    request::ClientFacts,
    users::UserData,
};
use crate::{
    db::audit,
    error::{ApiError, ApiResult},
    projects::{SignedInCaller, StoredAuthSettings},
};

/// Returns the user of the session.
///
/// # Errors
/// Returns 401 if the session has ended, or the user was disabled or deleted.
pub(super) async fn current_user(state: &AuthState, caller: &SignedInCaller) -> ApiResult<User> {
    Ok(current_account(state, caller).await?.row.user)
}

/// Returns the account of the session's user.
///
/// # Errors
/// Fails like [`current_user`].
pub(super) async fn current_account(state: &AuthState, caller: &SignedInCaller) -> ApiResult<Account> {
    let (user, session) = ids_of(&caller.user)?;
    let account = queries::account_of_session(&state.database, &caller.project.id, user, session).await?;
    account.ok_or_else(session_ended)
}

/// Changes the signed-in user. A new password ends the user's other sessions. A new e-mail address takes effect when
/// its mailed link is used. Any `email`, even the current one, cancels an earlier change that was not confirmed yet.
///
/// # Errors
/// Returns 400 for an invalid field, a missing `currentPassword` or a `weak_password`. Returns 401 if the session has
/// ended, and 401 `invalid_credentials` if `currentPassword` is wrong. Returns 404 `auth_disabled` if login is off, 422
/// if no link can be mailed to a new e-mail address, 429 after too many requests for such links or too many checks of
/// `currentPassword`, and 503 if too many passwords are being hashed.
pub(super) async fn update_current_user(
    state: &AuthState,
    caller: &SignedInCaller,
    client: &ClientFacts,
    request: UpdateCurrentUser,
) -> ApiResult<User> {
    let project = caller.project.id.as_str();
    let settings = state.settings.enabled(project).await?;
    let UpdateCurrentUser { data, email, password, current_password } = request;
    let (_, session) = ids_of(&caller.user)?;
    let account = current_account(state, caller).await?;
    let data = UserData::parse(data)?;
    let email = email.map(|email| EmailAddress::parse(&email)).transpose()?;
    let cancels_email_change = email.is_some();
    let new_email = email.filter(|email| email.as_str() != account.row.user.email);
    let user = account.row.user.id.clone();
    let mut entry = user_event("auth.update_user", project, &account.row.user, client);
    entry.details["password"] = password.is_some().into();
    entry.details["newEmail"] = new_email.is_some().into();
    let hash = match password {
        Some(password) => {
            let current = current_password.map(Zeroizing::new);
            match new_hash(state, caller, &settings, &account, (Zeroizing::new(password), current)).await {
                Ok(hash) => Some(hash),
                Err(error) => {
                    record_refusal(&state.projects.platform, entry, &error).await;
                    return Err(error);
                }
            }
        }
        None => None,
    };
    // Checked before anything is stored, so that a refused request changes nothing.
    if let Some(email) = &new_email {
        require_mail(state, &settings)?;
        state.limits.charge_account(Attempt::Recover, project, email.as_str())?;
        state.limits.charge_account(Attempt::Recover, project, &user)?;
    }
    let updated = audit::recorded(&state.projects.platform, entry, async |entry| {
        let current_hash = account.password_hash.as_deref();
        let password = hash.as_deref().map(|hash| NewPassword { hash, current_hash });
        let owner = (user.as_str(), session);
        // The token is created before the response, so that a later sign-out cancels it. It is also created for an
        // e-mail address that another user has, so that the time of the response does not reveal whether the address is
        // taken.
        let token = mailed_tokens::new_token();
        let email_change = match &new_email {
            Some(email) => EmailChange::Request { email, token: &token },
            None if cancels_email_change => EmailChange::Cancel,
            None => EmailChange::Keep,
        };
        let database = &state.database;
        let updated = account_queries::update_own(database, project, owner, &data, password, email_change).await;
        let updated = updated.and_then(|updated| updated.ok_or_else(session_ended));
        if let (Ok(updated), Some(email)) = (&updated, new_email) {
            mail_email_change(state, caller, &settings, updated.user.clone(), (email, token));
        }
        separate_refusal(entry, updated)
    })
    .await??;
    Ok(updated.user)
}

/// Mails the new e-mail address the link that confirms it, and the current address a notice. If another user has the
/// new address, mails only a notice to that user, and nobody receives the token. The mails are prepared in the
/// background, so the response does not reveal whether the address is taken.
fn mail_email_change(
    state: &AuthState,
    caller: &SignedInCaller,
    settings: &Arc<StoredAuthSettings>,
    user: User,
    (email, token): (EmailAddress, String),
) {
    let (state, project, settings) = (state.clone(), caller.project.clone(), settings.clone());
    tokio::spawn(async move {
        let mailed = async {
            if queries::account_by_email(&state.database, &project.id, &email).await?.is_some() {
                mail_notice(&state, &project, &settings, MailKind::EmailTaken, &email);
                return Ok(());
            }
            mail_token(&state, &project, &settings, Purpose::ChangeEmail, &email, &token);
            let current = EmailAddress::parse(&user.email)?;
            mail_notice(&state, &project, &settings, MailKind::ChangeRequested, &current);
            Ok::<_, ApiError>(())
        };
        if let Err(error) = mailed.await {
            tracing::error!(
                project = project.id,
                cause = error.cause(),
                "a link to a new e-mail address was not mailed"
            );
        }
    });
}

/// Checks the current password, if the user has one, and returns the hash of the new one.
///
/// # Errors
/// Returns 400 for a `weak_password` or if the current password is missing, 401 `invalid_credentials` if it is wrong,
/// 429 after too many attempts, and 503 if too many passwords are being hashed.
async fn new_hash(
    state: &AuthState,
    caller: &SignedInCaller,
    settings: &StoredAuthSettings,
    account: &Account,
    (password, current): (Zeroizing<String>, Option<Zeroizing<String>>),
) -> ApiResult<String> {
    password_policy::check(&password, settings.password_min_length, &account.row.user.email)?;
    if account.password_hash.is_some() {
        let current = current.ok_or_else(|| {
            ApiError::invalid("`currentPassword` is missing.").with_hint("A new password needs the current one.")
        })?;
        // Without this limit, a stolen access token would allow guessing the password.
        state.limits.charge_account(Attempt::LogIn, &caller.project.id, &account.row.user.id)?;
        let is_right = current.len() <= password_policy::MAX_BYTES
            && state.hasher.verify(current, account.password_hash.as_deref()).await?;
        if !is_right {
            return Err(invalid_credentials());
        }
    }
    state.hasher.hash(password).await
}
