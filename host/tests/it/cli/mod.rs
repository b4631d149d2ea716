//! The subcommands of the program, run as separate processes.

pub mod backup;
pub mod configuration;
pub mod doctor;
pub mod logs;
pub mod migrate;
pub mod plugin;
pub mod serve;
