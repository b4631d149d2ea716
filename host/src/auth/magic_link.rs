//! Signs users in with a mailed link instead of a password, if the project allows it.

use std::sync::Arc;

use api_types::{AuditResult, SignedInUser};

use super::{
    AuthState,
    email_address::EmailAddress,
    events::{event, with_email},
    limits::Attempt,
    links::{mail_link, require_mail},
    mailed_tokens::{self, Purpose},
    methods::Method,
    queries,
    recovery::{finish, refuse},
    request::ClientFacts,
};
use crate::{
    db::audit,
    error::{ApiError, ApiResult, Code},
    projects::{Caller, ProjectRef, StoredAuthSettings},
};

/// Mails the link if the address has an account. The account is looked up in the background, so that neither the
/// content nor the time of the response depends on it.
///
/// # Errors
/// 403 `magic_link_disabled`, 422 if no link can be mailed.
pub(super) async fn ask(
    state: &AuthState,
    caller: &Caller,
    client: &ClientFacts,
    given_email: String,
) -> ApiResult<()> {
    let project = caller.project.clone();
    let settings = allowed(state, &project.id).await?;
    require_mail(state, &settings)?;
    let _charged = state.limits.begin(Attempt::Recover, caller, client.address, None)?;
    let Ok(email) = EmailAddress::parse(&given_email) else { return Ok(()) };
    // The limit is not reported, as for the link that resets a password.
    if state.limits.charge_account(Attempt::Recover, &project.id, email.as_str()).is_err() {
        return Ok(());
    }
    let (state, client) = (state.clone(), client.clone());
    tokio::spawn(async move {
        if let Err(error) = mail(&state, &project, &settings, &client, &email).await {
            tracing::error!(project = project.id, cause = error.cause(), "a link to sign in was not mailed");
        }
    });
    Ok(())
}

/// Returns the settings of a project that lets users sign in with a link.
async fn allowed(state: &AuthState, project: &str) -> ApiResult<Arc<StoredAuthSettings>> {
    let settings = state.settings.enabled(project).await?;
    if settings.allow_magic_link {
        return Ok(settings);
    }
    Err(ApiError::new(Code::MagicLinkDisabled, "This project does not let users sign in with a mailed link.")
        .with_hint("Sign in with a password. The project's owner can allow links with `allowMagicLink`."))
}

async fn mail(
    state: &AuthState,
    project: &ProjectRef,
    settings: &StoredAuthSettings,
    client: &ClientFacts,
    email: &EmailAddress,
) -> ApiResult<()> {
    let account = queries::account_by_email(&state.database, &project.id, email).await?;
    let user = account.filter(|account| account.row.disabled_at.is_none()).map(|account| account.row.user.id);
    let mut entry = with_email(event("auth.magic_link_request", &project.id, user.as_deref(), client), email.as_str());
    if user.is_none() {
        entry.result = AuditResult::Denied;
    }
    audit::record_or_log(&state.projects.platform, &entry).await;
    match user {
        Some(user) => mail_link(state, project, settings, &user, Purpose::MagicLink, email).await,
        None => Ok(()),
    }
}

/// Signs in the user to whom the link was mailed, and marks the address as verified.
///
/// # Errors
/// 401 `invalid_token`, 403 `magic_link_disabled` or `mfa_required`.
pub(super) async fn confirm(
    state: &AuthState,
    caller: &Caller,
    client: &ClientFacts,
    token: String,
) -> ApiResult<SignedInUser> {
    let project = caller.project.id.as_str();
    let settings = allowed(state, project).await?;
    let charged = state.limits.begin(Attempt::MailedToken, caller, client.address, None)?;
    match mailed_tokens::use_for_magic_link(&state.database, project, &token).await? {
        Some(row) => {
            charged.refund();
            finish(state, project, &settings, client, &row, ("auth.magic_link", Method::MagicLink)).await
        }
        None => refuse(state, project, client, "auth.magic_link").await,
    }
}
