//! The subcommands of the program, run as separate processes.

pub mod backup;
pub mod backup_faults;
pub mod configuration;
pub mod doctor;
pub mod logs;
pub mod migrate;
pub mod plugin;
pub mod restore;
pub mod restore_encrypted;
pub mod restore_failed_objects;
pub mod restore_faults;
pub mod restored_keys;
pub mod serve;
pub mod transfer_faults;
