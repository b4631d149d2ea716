//! Who may run here: signatures, keys, serials, approvals and grants, checked on bytes that were read once.
//!
//! A file goes through these stages, and each may refuse it with a [`Refusal`]: [`SignedFile`] (bytes and signature as
//! read) → [`InspectedPlugin`] (the signature holds, so its manifest is its author's) → [`VerifiedPlugin`] (the owner
//! wants it to run, with these grants). Only this folder makes the last two, and what is compiled are the bytes that
//! the last one holds. Deliberately absent: files, the database, and any second look at either.

mod component;
mod decision;
mod inspect;
mod keys;
mod refusal;
mod scopes;
mod signature;
mod view;

pub use component::ComponentFacts;
pub use decision::VerifiedPlugin;
pub use inspect::{InspectedPlugin, Origin, Sighting, SignedFile, inspect};
pub use keys::{PluginKey, PluginKeyError};
pub use refusal::Refusal;
pub use scopes::{Powers, requested_powers};
pub use signature::DetachedSignature;
pub use view::{Approval, SeenSerial, TrustView};
