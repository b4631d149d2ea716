//! The optional second factor of users: codes of an authenticator app (TOTP, RFC 6238), and recovery codes.
//!
//! - `totp`: secrets and codes. `codes`: what users type, and recovery codes.
//! - `data_keys`: the keys that seal secrets, because projects' databases must not contain these secrets in the
//!   clear.
//! - `queries`: the fixed SQL on factors. `challenge_queries`: the fixed SQL on logins that wait for the second factor.
//! - `check`: checks codes of the app.
//! - `enrolment`: sets up and removes factors, and replaces recovery codes. `challenge`: the second step of a login.
//!
//! Every way to open a session asks for the factor: password, mailed link, reset and verification. Only someone who
//! knows the user's password, can read the user's mail or has a session of the user can try codes and use up the user's
//! attempts.

mod challenge;
mod challenge_queries;
mod check;
mod codes;
mod data_keys;
mod enrolment;
mod queries;
mod totp;

pub(super) use challenge::{FirstFactor, require, verify};
pub(super) use data_keys::DataKeys;
pub use data_keys::SEALED_COLUMNS;
pub(super) use enrolment::{confirm, enrol, get, remove, remove_as_owner, replace_codes};
