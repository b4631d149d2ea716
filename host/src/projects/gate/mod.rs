//! The gate of the public surface: no request reaches a handler without a valid API key, except requests for the public
//! keys of access tokens.
//!
//! `authenticate` is the middleware. It checks, in this order: the key (`keys`), the browser's origin (`cors`), the
//! rate (`rate_limit`), for paths of end-user login that login is on, the user's token (`user_tokens`,
//! `verified_tokens`), and, if the project's settings require it, that the user's session has not ended
//! (`session_check`, which `auth` implements). The middleware adds a [`Caller`] to a request that passes, and handlers
//! extract it. `signing_keys` creates and decrypts the keys that sign user tokens. With `claims_of_user`, which `auth`
//! implements as well, the owner reads rows as a user.
//!
//! Deliberately absent: issuing user tokens (`auth`).

mod authenticate;
mod caller;
mod claims_of_user;
pub(super) mod cors;
mod rate_limit;
mod session_check;
pub(super) mod signing_keys;
mod user_tokens;
mod verified_tokens;

pub(super) use signing_keys::SEALED_SIGNING_KEY;

pub use authenticate::{PublicGate, authenticate};
pub use caller::{Caller, SecretCaller, SignedInCaller, UserClaims};
pub use claims_of_user::{ClaimsMaker, ClaimsOfUser};
pub use rate_limit::{RateLimits, WrongKeyLimit};
pub use session_check::SessionCheck;
pub use signing_keys::{SigningKey, rotate_signing_key, signing_key};
pub use user_tokens::UserTokens;
