//! The kinds of mail to users, and their default texts.

use api_types::{MailText, MailTexts};

/// A kind of mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::auth) enum MailKind {
    /// The link that verifies the e-mail address of a user who signed up.
    Verify,
    /// The link that resets a password.
    Reset,
    /// The link that confirms a new e-mail address, sent to that address.
    ChangeEmail,
    /// The sign-in link.
    MagicLink,
    /// The notice that someone tried to use a user's e-mail address for another account.
    EmailTaken,
    /// The notice that another e-mail address was requested, sent to the current one.
    ChangeRequested,
}

impl MailKind {
    pub(in crate::auth) fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
            Self::ChangeEmail => "changeEmail",
            Self::MagicLink => "magicLink",
            Self::EmailTaken => "emailTaken",
            Self::ChangeRequested => "changeRequested",
        }
    }

    /// Returns the project's own text, or the default.
    pub(super) fn text(self, own: &MailTexts) -> MailText {
        let own = match self {
            Self::Verify => &own.verify,
            Self::Reset => &own.reset,
            Self::ChangeEmail => &own.change_email,
            Self::MagicLink => &own.magic_link,
            Self::EmailTaken => &own.email_taken,
            Self::ChangeRequested => &None,
        };
        own.clone().unwrap_or_else(|| self.default_text())
    }

    fn default_text(self) -> MailText {
        let (subject, before, button, after) = match self {
            Self::Verify => (
                "Confirm your e-mail address",
                "Confirm that this is your e-mail address, for your account at {{project}}:",
                "Confirm address",
                "The link works once, for one hour. If you did not sign up, ignore this mail.",
            ),
            Self::Reset => (
                "Reset your password",
                "Choose a new password for your account at {{project}}:",
                "Choose a new password",
                "The link works once, for one hour. If you did not ask for it, ignore this mail: your password stays \
                 as it is.",
            ),
            Self::ChangeEmail => (
                "Confirm your new e-mail address",
                "Confirm that {{email}} is your new e-mail address, for your account at {{project}}:",
                "Confirm address",
                "The link works once, for one hour. If you did not ask for it, ignore this mail.",
            ),
            Self::MagicLink => (
                "Your link to sign in",
                "Sign in to your account at {{project}}:",
                "Sign in",
                "The link works once, for 15 minutes. If you did not ask for it, ignore this mail.",
            ),
            Self::EmailTaken => (
                "You already have an account",
                "Someone, perhaps you, tried to use this address for another account at {{project}}. You already have \
                 an account with it, and nothing was changed.",
                "",
                "Sign in with your password, or reset it if you don't remember it.",
            ),
            Self::ChangeRequested => (
                "Your e-mail address is about to change",
                "Another e-mail address was requested for your account at {{project}}. A link was sent to that \
                 address, and your address changes when the link is opened.",
                "",
                "If you did not ask for it, change your password.",
            ),
        };
        let (link_text, link_html) = match button {
            "" => (String::new(), String::new()),
            button => ("{{link}}\n\n".to_owned(), format!("<p><a href=\"{{{{link}}}}\">{button}</a></p>\n")),
        };
        MailText {
            subject: subject.to_owned(),
            text: format!("{before}\n\n{link_text}{after}\n"),
            html: Some(format!("<!doctype html>\n<p>{before}</p>\n{link_html}<p>{after}</p>\n")),
        }
    }
}
