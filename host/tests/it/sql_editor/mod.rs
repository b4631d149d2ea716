//! The SQL editor.

pub mod limits;
pub mod lockout;
pub mod statements;
