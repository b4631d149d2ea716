//! The embedded default: its own Postgres, store and data folder.

pub mod disk_space;
pub mod killed_starts;
pub mod postgres;
pub mod start;
pub mod store;
