//! The embedded default: its own Postgres, store and data folder.

pub mod postgres;
pub mod start;
