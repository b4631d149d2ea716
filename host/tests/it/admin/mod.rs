//! The owner's identity, sessions, audit log and overview.

pub mod access;
pub mod audit;
pub mod audit_export;
pub mod audit_intents;
pub mod migrations;
pub mod overview;
pub mod sessions;
pub mod sign_in;
