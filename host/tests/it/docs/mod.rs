//! The documents: everything they list exists, and their examples work.

pub mod compose;
pub mod markdown;
pub mod plugins;
pub mod quickstart;
pub mod tables;
pub mod usage;
