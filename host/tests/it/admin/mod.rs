//! The owner's identity, sessions and audit log.

pub mod access;
pub mod audit;
pub mod audit_intents;
pub mod sign_in;
