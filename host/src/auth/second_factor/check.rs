//! Checks codes of the authenticator app.

use std::time::Duration;

use zeroize::Zeroizing;

use super::{
    queries::{self, ChargedFactor},
    totp::TotpSecret,
};
use crate::{
    auth::AuthState,
    error::{ApiError, ApiResult, Code},
};

/// Returns the identity for which a user's secret is sealed. It does not contain the project, because a backup can be
/// restored into another project.
pub(super) fn secret_identity(user: &str) -> String {
    format!("auth.totp_factors/{user}")
}

/// A right code, which is not marked as used yet.
pub(super) struct RightCode {
    pub factor: ChargedFactor,
    pub step: i64,
}

/// Checks a code of the authenticator app, and counts an attempt of the user. The factor may not be active yet; see
/// [`ChargedFactor::is_confirmed`].
///
/// # Errors
/// Returns 401 `invalid_code` if the code is wrong or the user has no second factor, 422 if the secret can't be opened,
/// and 429 if there were too many attempts.
pub(super) async fn check_totp(state: &AuthState, project: &str, user: &str, code: &str) -> ApiResult<RightCode> {
    let factor = queries::charge(&state.database, project, user).await?.ok_or_else(invalid_code)?;
    if !factor.is_allowed {
        return Err(too_many_attempts());
    }
    let secret = open_secret(state, project, user, &factor.sealed).await?;
    match secret.accepted_step(code, factor.now, factor.last_step) {
        Some(step) => Ok(RightCode { factor, step }),
        None => Err(invalid_code()),
    }
}

async fn open_secret(state: &AuthState, project: &str, user: &str, sealed: &[u8]) -> ApiResult<TotpSecret> {
    let opened: Option<Zeroizing<Vec<u8>>> = state.data_keys.open(sealed, &secret_identity(user)).await?;
    opened.map(TotpSecret::from_bytes).ok_or_else(|| {
        tracing::error!(project, user, "the secret of a second factor was sealed on another platform");
        ApiError::new(Code::Unprocessable, "This server can't check codes of the authenticator app.")
            .with_hint("Use a recovery code. The owner can remove the second factor.")
    })
}

pub(super) fn invalid_code() -> ApiError {
    ApiError::new(Code::InvalidCode, "The code is wrong, or was used before.")
        .with_hint("Wait for the next code of the authenticator app, or use a recovery code.")
}

fn too_many_attempts() -> ApiError {
    ApiError::new(Code::RateLimited, "Too many wrong codes.")
        .with_hint("Wait for the number of seconds in `Retry-After`, or use a recovery code.")
        .with_retry_after(Duration::from_secs_f64(queries::ATTEMPT_SECONDS))
}
