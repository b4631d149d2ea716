//! Mails the links that anyone can request with an e-mail address: to reset a password, or to sign in without one.

use std::sync::Arc;

use api_types::AuditResult;

use super::{
    AuthState,
    email_address::EmailAddress,
    events::{event, with_email},
    limits::Attempt,
    links::mail_link,
    mailed_tokens::Purpose,
    queries,
    request::ClientFacts,
};
use crate::{
    db::audit,
    error::ApiResult,
    projects::{Caller, ProjectRef, StoredAuthSettings},
};

/// A request for a link.
pub(super) struct LinkRequest {
    /// Purpose of the link.
    pub(super) purpose: Purpose,
    /// The name of the request in the audit log.
    pub(super) event: &'static str,
    pub(super) client: ClientFacts,
    /// The e-mail address as the client sent it.
    pub(super) email: String,
}

/// Mails the link if the address has an account that is not disabled, unless too many links to the address were
/// requested. The account is looked up in the background, so that neither the content nor the time of the response
/// depends on it.
///
/// # Errors
/// Returns 429 if the client made too many requests.
pub(super) async fn mail_requested_link(
    state: &AuthState,
    caller: &Caller,
    settings: Arc<StoredAuthSettings>,
    request: LinkRequest,
) -> ApiResult<()> {
    let project = caller.project.clone();
    let _charged = state.limits.begin(Attempt::Recover, caller, request.client.address, None)?;
    let Ok(email) = EmailAddress::parse(&request.email) else { return Ok(()) };
    // This limit bounds the number of mails to an address. An error would reveal that others have requested links.
    if state.limits.charge_account(Attempt::Recover, &project.id, email.as_str()).is_err() {
        return Ok(());
    }
    let state = state.clone();
    tokio::spawn(async move {
        if let Err(error) = mail_to_account(&state, &project, &settings, &request, &email).await {
            tracing::error!(
                project = project.id,
                event = request.event,
                cause = error.cause(),
                "a requested link was not mailed"
            );
        }
    });
    Ok(())
}

async fn mail_to_account(
    state: &AuthState,
    project: &ProjectRef,
    settings: &StoredAuthSettings,
    request: &LinkRequest,
    email: &EmailAddress,
) -> ApiResult<()> {
    let account = queries::account_by_email(&state.database, &project.id, email).await?;
    let user = account.filter(|account| account.row.disabled_at.is_none()).map(|account| account.row.user.id);
    let mut entry = with_email(event(request.event, &project.id, user.as_deref(), &request.client), email.as_str());
    if user.is_none() {
        entry.result = AuditResult::Denied;
    }
    audit::record_or_log(&state.projects.platform, &entry).await;
    match user {
        Some(user) => mail_link(state, project, settings, &user, request.purpose, email).await,
        None => Ok(()),
    }
}
