//! The SQL editor.

pub mod background;
pub mod limits;
pub mod lockout;
pub mod parsing;
pub mod saved;
pub mod scripts;
pub mod statements;
