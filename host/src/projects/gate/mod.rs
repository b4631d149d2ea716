//! The gate of the public surface: no request passes without a valid API key.
//!
//! `authenticate` is the middleware. It checks, in this order: the key (`keys`), the browser's origin (`cors`), the
//! rate (`rate_limit`), the user's token (`user_tokens`). A request that passes carries a [`Caller`], which handlers
//! extract. `signing_keys` makes and opens the keys that sign user tokens.
//!
//! Not here: issuing user tokens.

mod authenticate;
mod caller;
pub(super) mod cors;
mod rate_limit;
pub(super) mod signing_keys;
mod user_tokens;

pub(super) use signing_keys::SEALED_SIGNING_KEY;

pub use authenticate::{PublicGate, authenticate};
pub use caller::{Caller, SecretCaller, UserClaims};
pub use rate_limit::{RateLimits, WrongKeyLimit};
pub use signing_keys::{SigningKey, signing_key};
pub use user_tokens::UserTokens;
