//! The program's subcommands, started as a user starts them.

pub mod backup;
pub mod configuration;
pub mod doctor;
pub mod logs;
pub mod migrate;
pub mod plugin;
pub mod serve;
