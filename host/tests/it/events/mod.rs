//! The stream of changes: its content, its continuation after an interruption, and its limits.

pub mod logs;
pub mod stream;
