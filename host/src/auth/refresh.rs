//! Exchanges a refresh token for the next one.
//!
//! Each token has one successor. A token that is sent again within [`GRACE_SECONDS`] returns the same successor,
//! because two tabs can send the same token at the same moment, and a response can be lost. A token that is sent again
//! later counts as stolen, because one of its two senders may be a thief, and the whole session ends. Each response
//! has a new access token. All times are those of the database's clock.

use api_types::SignedInUser;

use super::{
    AuthState,
    events::{record_refusal, user_event},
    limits::Attempt,
    queries::{self, Exchanged, UsedToken},
    request::ClientFacts,
    sessions::{OpenSession, RefreshToken, signed_in, successor_salt},
};
use crate::{
    error::{ApiError, ApiResult, Code},
    projects::Caller,
};

/// Seconds within which a used token returns its successor again.
pub(super) const GRACE_SECONDS: i32 = 10;

/// Exchanges a refresh token.
///
/// # Errors
/// Returns 401 `invalid_refresh_token` if the token can't be used, 404 `auth_disabled` if login is off, and 429 after
/// too many attempts.
pub(super) async fn refresh(
    state: &AuthState,
    caller: &Caller,
    client: &ClientFacts,
    token: String,
) -> ApiResult<SignedInUser> {
    let project = caller.project.id.as_str();
    let settings = state.settings.enabled(project).await?;
    let _charged = state.limits.begin(Attempt::Refresh, caller, client.address, None)?;
    let token = RefreshToken::received(token);
    // The account is charged before the exchange. A refused exchange would use the token, and the client would lose its
    // session if it tried again more than [`GRACE_SECONDS`] later. A used token is not charged yet: the limit must not
    // delay the end of a session whose token was stolen.
    if let Some(user) = queries::user_of_unused_token(&state.database, project, &token.hash()).await? {
        state.limits.charge_account(Attempt::Refresh, project, &user)?;
    }
    let open = exchange(state, project, settings.refresh_token_days, client, &token).await?;
    state.limits.remember(project, &open.user.user.email, client.address);
    signed_in(state, project, &settings, open).await
}

async fn exchange(
    state: &AuthState,
    project: &str,
    days: i32,
    client: &ClientFacts,
    token: &RefreshToken,
) -> ApiResult<OpenSession> {
    let salt = successor_salt();
    let successor = token.successor(&salt)?;
    let exchange = queries::Exchange { hash: &token.hash(), salt: &salt, successor: &successor.hash(), days };
    if let Some(exchanged) = queries::exchange_token(&state.database, project, &exchange).await? {
        return Ok(open(exchanged, successor));
    }
    match queries::used_token(&state.database, project, &token.hash(), GRACE_SECONDS).await? {
        Some(UsedToken { exchanged, salt, is_within_grace: true }) => {
            state.limits.charge_account(Attempt::Refresh, project, &exchanged.user.user.id)?;
            Ok(open(exchanged, token.successor(&salt)?))
        }
        Some(UsedToken { exchanged: Exchanged { user, session, .. }, .. }) => {
            queries::end_session(&state.database, project, &session).await?;
            let mut entry = user_event("auth.refresh_reuse", project, &user.user, client);
            entry.details["session"] = session.as_str().into();
            let error = refused();
            record_refusal(&state.projects.platform, entry, &error).await;
            tracing::warn!(project, user = user.user.id, session, "a refresh token was used again; its session ends");
            Err(error)
        }
        None => Err(refused()),
    }
}

fn open(exchanged: Exchanged, refresh_token: RefreshToken) -> OpenSession {
    let Exchanged { user, session, used_at, assurance } = exchanged;
    OpenSession { user, session, issued_at: used_at, refresh_token, assurance }
}

fn refused() -> ApiError {
    ApiError::new(Code::InvalidRefreshToken, "The refresh token is no longer valid.").with_hint("Sign in again.")
}
