//! The SQL editor.

pub mod limits;
pub mod statements;
