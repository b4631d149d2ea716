//! Decides which plugins may run: signatures, keys, serials, approvals and grants.
//!
//! A file passes these stages, and each may refuse it with a [`Refusal`]: [`SignedFile`] (bytes and signature as read)
//! → [`InspectedPlugin`] (the signature is valid, so the manifest is its author's) → [`VerifiedPlugin`] (its approval
//! allows it to run). Only this folder creates the last two, and only the bytes in a [`VerifiedPlugin`] are compiled.
//!
//! In reading order: [`signature`] (where signatures are checked), [`inspect`], [`verify`] with [`scopes`], and
//! [`view`] (the trust data that they use). Then the database side: [`store`] reads the view. [`approvals`],
//! `default_approval` (first-party plugins) and [`trusted_keys`] change the data. [`secrets`] seals plugins' secrets,
//! and [`queries`] contains the SQL.
//!
//! Deliberately absent: reading files. Each file is read once, by `package`.
//!
//! [`Refusal`]: super::package::Refusal
//! [`SignedFile`]: super::package::SignedFile

pub(super) mod approvals;
mod default_approval;
mod inspect;
mod queries;
mod scopes;
mod secrets;
mod signature;
pub(super) mod store;
pub(super) mod trusted_keys;
mod verify;
mod view;

pub(super) use default_approval::approve_first_party;
pub use inspect::{InspectedPlugin, Inspection, inspect_file};
pub(super) use queries::{CHANNEL, read_trust_version};
pub use scopes::{CapabilityScopes, requested_scopes};
pub use secrets::SEALED_COLUMNS;
pub(super) use secrets::open_secrets;
pub use signature::DetachedSignature;
pub use trusted_keys::KeyToTrust;
pub use verify::{VerifiedPlugin, verify_file};
pub use view::{Approval, LatestSerial, TrustView};
