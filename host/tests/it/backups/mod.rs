//! Backups: catalogue, dump, verification, and the plugin that makes them.

pub mod catalogue;
pub mod dump;
pub mod end_to_end;
pub mod plugin;
pub mod verify;
