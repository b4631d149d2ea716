//! Backups: catalogue, dump, verification, restore, and the plugin that creates them.

pub mod catalogue;
pub mod check_constraints;
pub mod dump;
pub mod encryption;
pub mod end_to_end;
pub mod failed_objects;
pub mod object_changes;
pub mod object_faults;
pub mod objects;
pub mod plugin;
pub mod protection;
pub mod restore;
pub mod restore_hostile;
pub mod restore_removal;
pub mod restore_security;
pub mod restore_swap;
pub mod restore_uploads;
pub mod search_paths;
pub mod verify;
pub mod verify_faults;
pub mod versions;
