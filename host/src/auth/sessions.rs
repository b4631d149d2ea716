//! Opens sessions, and creates their tokens.

use api_types::{SignedInUser, TokenType, UserSession};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::RngCore as _;
use sha2::Sha256;
use uuid::Uuid;

use super::{
    AuthState,
    access_tokens::TokenFacts,
    methods::{Assurance, Method},
    queries,
    request::ClientFacts,
    users::UserRow,
};
use crate::{
    error::{ApiError, ApiResult},
    projects::StoredAuthSettings,
    secrets::{random_token, sha256},
};

const REFRESH_TOKEN_PREFIX: &str = "ah_ref_";
/// Length of a salt for a token's successor.
const SALT_BYTES: usize = 32;

/// A refresh token. Only its hash is stored.
#[derive(Clone)]
pub(super) struct RefreshToken(String);

impl RefreshToken {
    pub(super) fn generate() -> Self {
        Self(random_token(REFRESH_TOKEN_PREFIX))
    }

    /// Wraps a token that a client sent.
    pub(super) fn received(text: String) -> Self {
        Self(text)
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        sha256(self.0.as_bytes())
    }

    /// Returns the token that follows this one: a function of this token and a stored random salt. So the successor can
    /// be returned again to a client that sends this token again, although neither token is stored.
    pub(super) fn successor(&self, salt: &[u8]) -> ApiResult<Self> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).map_err(ApiError::internal)?;
        mac.update(salt);
        let code = mac.finalize().into_bytes();
        Ok(Self(format!("{REFRESH_TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(code))))
    }
}

pub(super) fn successor_salt() -> [u8; SALT_BYTES] {
    let mut salt = [0; SALT_BYTES];
    rand::rng().fill_bytes(&mut salt);
    salt
}

/// A session whose tokens are to be returned.
pub(super) struct OpenSession {
    pub user: UserRow,
    pub session: String,
    /// When the tokens were issued, in seconds since 1970, by the clock of the database.
    pub issued_at: i64,
    pub refresh_token: RefreshToken,
    pub assurance: Assurance,
}

/// The proof of a user's identity at a sign-in.
pub(super) struct SignInProof<'a> {
    pub method: Method,
    /// The hash that the user's password must still have.
    pub password_hash: Option<&'a str>,
    /// The first factor, if `method` is the second one: JSON in the format of `auth.sessions.methods`.
    pub first_factor: Option<&'a str>,
}

impl<'a> SignInProof<'a> {
    /// Returns the proof of a user who has no second factor.
    pub(super) fn only(method: Method, password_hash: Option<&'a str>) -> Self {
        Self { method, password_hash, first_factor: None }
    }
}

/// Opens a session of a user. Returns `None` if, in the meantime, the user was deleted or disabled, changed the
/// password, or set up a second factor that `proof` does not contain.
pub(super) async fn open_session(
    state: &AuthState,
    project: &str,
    settings: &StoredAuthSettings,
    user: &str,
    proof: SignInProof<'_>,
    client: &ClientFacts,
) -> ApiResult<Option<OpenSession>> {
    let refresh_token = RefreshToken::generate();
    let session = Uuid::new_v4().to_string();
    let new = queries::NewSession {
        id: &session,
        user,
        token_hash: &refresh_token.hash(),
        days: settings.refresh_token_days,
        proof: &proof,
        client,
    };
    let opened = queries::insert_session(&state.database, project, &new).await?;
    if let Some((row, ..)) = &opened {
        state.limits.remember(project, &row.user.email, client.address);
    }
    Ok(opened.map(|(user, issued_at, assurance)| OpenSession { user, session, issued_at, refresh_token, assurance }))
}

/// Ends the sessions that were opened with a replaced or deleted password while the statement that changed the password
/// was running. Such a statement ends only the sessions that existed when it began. After it, [`open_session`] refuses
/// the old password.
pub(super) async fn end_sessions_of_changed_password(
    state: &AuthState,
    project: &str,
    user: &str,
    except: Option<&str>,
) -> ApiResult<()> {
    queries::end_sessions(&state.database, project, user, None, except).await.map(drop)
}

/// Signs the access token, and returns the user and the session for the client.
pub(super) async fn signed_in(
    state: &AuthState,
    project: &str,
    settings: &StoredAuthSettings,
    open: OpenSession,
) -> ApiResult<SignedInUser> {
    let expires_in = i64::from(settings.access_token_seconds);
    let default_issuer = state.tokens.issuer(project);
    let facts = TokenFacts {
        project,
        issuer: settings.issuer.as_deref().unwrap_or(&default_issuer),
        session: Some(open.session.as_str()),
        assurance: &open.assurance,
        issued_at: open.issued_at,
        expires_at: open.issued_at + expires_in,
    };
    let access_token = state.signer.sign(facts, &open.user.user).await?;
    let session = UserSession {
        access_token,
        token_type: TokenType::Bearer,
        expires_in,
        expires_at: facts.expires_at,
        refresh_token: open.refresh_token.0,
    };
    Ok(SignedInUser { user: open.user.user, session })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successor_depends_on_token_and_salt_alone() {
        let (token, salt) = (RefreshToken::generate(), successor_salt());
        let successor = token.successor(&salt).unwrap();
        assert_eq!(successor.0, token.successor(&salt).unwrap().0);
        assert_eq!(successor.0.len(), token.0.len());
        assert_ne!(successor.0, token.successor(&successor_salt()).unwrap().0);
        assert_ne!(successor.0, RefreshToken::generate().successor(&salt).unwrap().0);
    }
}
