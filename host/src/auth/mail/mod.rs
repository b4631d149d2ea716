//! Mail to users: links that verify an e-mail address, reset a password or sign in, and notices.
//!
//! - `kind`: the kinds of mail, with their default texts. `compose`: a mail from its text and values.
//! - `delivery`: sends mails in the background, so that no response depends on whether one is sent.
//!
//! Deliberately absent: notifications to the owner (`notifications`).

mod compose;
mod delivery;
mod kind;

pub(super) use compose::MailValues;
pub(super) use delivery::Mailer;
pub(super) use kind::MailKind;
