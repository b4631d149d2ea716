//! Backups: catalogue, dump, verification, and the plugin that creates them.

pub mod catalogue;
pub mod dump;
pub mod end_to_end;
pub mod plugin;
pub mod protection;
pub mod search_paths;
pub mod verify;
