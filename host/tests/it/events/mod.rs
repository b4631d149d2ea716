//! The stream of changes: what it contains, how it continues, and its limits.

pub mod logs;
pub mod stream;
