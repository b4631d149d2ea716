//! The owner's identity, sessions, audit log and overview.

pub mod access;
pub mod audit;
pub mod audit_intents;
pub mod overview;
pub mod sign_in;
