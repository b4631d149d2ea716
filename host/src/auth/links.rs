//! Mails links and notices to users.

use api_types::ProjectUser;

use super::{
    AuthState,
    email_address::EmailAddress,
    mail::{MailKind, MailValues},
    mailed_tokens::{self, Purpose},
};
use crate::{
    error::{ApiError, ApiResult, Code},
    projects::{ProjectRef, StoredAuthSettings},
};

/// Returns whether links can be mailed to users of the project.
pub(super) fn can_mail(state: &AuthState, settings: &StoredAuthSettings) -> bool {
    state.mailer.is_configured() && settings.site_url.is_some()
}

/// Checks that links can be mailed.
///
/// # Errors
/// Returns 422 if no link can be mailed.
pub(super) fn require_mail(state: &AuthState, settings: &StoredAuthSettings) -> ApiResult<()> {
    if can_mail(state, settings) {
        return Ok(());
    }
    let hint = match state.mailer.is_configured() {
        true => "Set `siteUrl` in the project's login settings.",
        false => "Configure a mail server with `ATLASHUB_SMTP_URL` and `ATLASHUB_SMTP_FROM`.",
    };
    Err(ApiError::new(Code::Unprocessable, "No link can be mailed for this project.").with_hint(hint))
}

/// Creates a token and mails its link to the e-mail address. The base of the link is the project's `siteUrl`; no part
/// of it comes from a request. Does nothing if no link can be mailed, or the user was deleted or disabled.
pub(super) async fn mail_link(
    state: &AuthState,
    project: &ProjectRef,
    settings: &StoredAuthSettings,
    user: &str,
    purpose: Purpose,
    email: &EmailAddress,
) -> ApiResult<()> {
    if !can_mail(state, settings) {
        return Ok(());
    }
    if let Some(token) = mailed_tokens::create(&state.database, &project.id, user, purpose, email).await? {
        mail_token(state, project, settings, purpose, email, &token);
    }
    Ok(())
}

/// Mails the link that contains a token to an e-mail address. Does nothing if no link can be mailed.
pub(super) fn mail_token(
    state: &AuthState,
    project: &ProjectRef,
    settings: &StoredAuthSettings,
    purpose: Purpose,
    email: &EmailAddress,
    token: &str,
) {
    let Some(site_url) = settings.site_url.as_deref().filter(|_| state.mailer.is_configured()) else { return };
    let (kind, path) = match purpose {
        Purpose::Verify => (MailKind::Verify, &settings.verify_path),
        Purpose::ChangeEmail => (MailKind::ChangeEmail, &settings.verify_path),
        Purpose::Reset => (MailKind::Reset, &settings.reset_path),
        Purpose::MagicLink => (MailKind::MagicLink, &settings.magic_link_path),
    };
    let separator = if path.contains('?') { '&' } else { '?' };
    let link = Some(format!("{site_url}{path}{separator}token={token}"));
    let values = MailValues { project: project.name.clone(), link };
    state.mailer.send(email, kind, &settings.mail_texts, &values);
}

/// Mails a notice without a link.
pub(super) fn mail_notice(
    state: &AuthState,
    project: &ProjectRef,
    settings: &StoredAuthSettings,
    kind: MailKind,
    email: &EmailAddress,
) {
    let values = MailValues { project: project.name.clone(), link: None };
    state.mailer.send(email, kind, &settings.mail_texts, &values);
}

/// Mails the link that resets a user's password, at the owner's request.
///
/// # Errors
/// Returns 422 if no link can be mailed, or the user is disabled.
pub(super) async fn mail_reset_link(
    state: &AuthState,
    project: &ProjectRef,
    settings: &StoredAuthSettings,
    user: &ProjectUser,
) -> ApiResult<()> {
    require_mail(state, settings)?;
    if user.disabled_at.is_some() {
        return Err(ApiError::new(Code::Unprocessable, "The user is disabled.").with_hint("Enable the user first."));
    }
    let email = EmailAddress::parse(&user.email)?;
    mail_link(state, project, settings, &user.id, Purpose::Reset, &email).await
}
