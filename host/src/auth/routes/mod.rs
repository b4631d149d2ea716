//! The handlers: `public`, `mailed` and `second_factor` for users, `owner` for the owner.

mod mailed;
mod owner;
mod public;
mod second_factor;

pub(crate) use mailed::*;
pub(crate) use owner::*;
pub(crate) use public::*;
pub(crate) use second_factor::*;
