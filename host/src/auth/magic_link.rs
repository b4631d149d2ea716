//! Signs users in with a mailed link instead of a password, if the project allows it.

use std::sync::Arc;

use api_types::SignedInUser;

use super::{
    AuthState,
    events::event,
    limits::Attempt,
    links::require_mail,
    mailed_tokens::{self, Purpose},
    methods::Method,
    recovery::{finish, recorded_use},
    request::ClientFacts,
    requested_links::{LinkRequest, mail_requested_link},
};
use crate::{
    error::{ApiError, ApiResult, Code},
    projects::{Caller, StoredAuthSettings},
};

/// Mails a link that signs in, if the e-mail address has an account.
///
/// # Errors
/// Returns 403 `magic_link_disabled` if the project does not allow such links, 404 `auth_disabled` if login is off, 422
/// if no link can be mailed, and 429 if the client made too many requests.
pub(super) async fn ask(state: &AuthState, caller: &Caller, client: &ClientFacts, email: String) -> ApiResult<()> {
    let settings = allowed(state, &caller.project.id).await?;
    require_mail(state, &settings)?;
    let request =
        LinkRequest { purpose: Purpose::MagicLink, event: "auth.magic_link_request", client: client.clone(), email };
    mail_requested_link(state, caller, settings, request).await
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

/// Signs in the user to whom the link was mailed, and marks the e-mail address as verified. If it was not verified
/// before, the user may lose the password and the sessions; see [`mailed_tokens::use_for_magic_link`].
///
/// # Errors
/// Returns 401 `invalid_token` if the token is not valid, 403 `magic_link_disabled` if the project does not allow such
/// links, 403 `mfa_required` if the user has a second factor, 404 `auth_disabled` if login is off, and 429 after too
/// many attempts.
pub(super) async fn confirm(
    state: &AuthState,
    caller: &Caller,
    client: &ClientFacts,
    token: String,
) -> ApiResult<SignedInUser> {
    let project = caller.project.id.as_str();
    let settings = allowed(state, project).await?;
    let charged = state.limits.begin(Attempt::MailedToken, caller, client.address, None)?;
    let entry = event("auth.magic_link", project, None, client);
    let using = async {
        let row = mailed_tokens::use_for_magic_link(&state.database, project, &token).await?;
        Ok::<_, ApiError>(row.map(|row| (row, Method::MagicLink)))
    };
    let used = recorded_use(state, entry, using).await?;
    charged.refund();
    finish(state, project, &settings, client, &used).await
}
