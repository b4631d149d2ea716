//! The age keys of backups: the recipients that they are encrypted to, and the identity that opens them.

use std::{str::FromStr, sync::Arc};

use age::{
    secrecy::ExposeSecret as _,
    x25519::{Identity, Recipient},
};
use zeroize::Zeroizing;

use super::{ConfigError, Vars};

const RECIPIENTS: &str = "ATLASHUB_BACKUP_AGE_RECIPIENTS";
const IDENTITY: &str = "ATLASHUB_BACKUP_AGE_IDENTITY";

/// Public keys of the age format, to which backups are encrypted. Empty if backups are not encrypted. Cheap to clone.
///
/// Source: <https://age-encryption.org/v1>.
#[derive(Clone, Default)]
pub struct AgeRecipients(Arc<[Recipient]>);

/// The error for a string that is not an age recipient.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("contains `{0}`, which is not an age recipient")]
pub struct InvalidRecipient(String);

impl AgeRecipients {
    pub(super) fn from_vars(vars: &Vars) -> Result<Self, ConfigError> {
        vars.text_or_default(RECIPIENTS)?.parse().map_err(|problem: InvalidRecipient| {
            ConfigError::new(
                RECIPIENTS,
                problem.to_string(),
                "list public keys of `age-keygen`, which begin with age1, separated by commas",
            )
        })
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Recipient> {
        self.0.iter()
    }
}

impl FromStr for AgeRecipients {
    type Err = InvalidRecipient;

    /// Parses recipients that are separated by commas or white space.
    fn from_str(text: &str) -> Result<Self, InvalidRecipient> {
        let texts = text.split(|character: char| character == ',' || character.is_whitespace());
        let recipients = texts.filter(|text| !text.is_empty()).map(|text| {
            // An identity is a secret, and must not appear in a message.
            let shown =
                if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") { "AGE-SECRET-KEY-…" } else { text };
            text.parse().map_err(|_| InvalidRecipient(shown.to_owned()))
        });
        Ok(Self(recipients.collect::<Result<Vec<_>, _>>()?.into()))
    }
}

impl std::fmt::Debug for AgeRecipients {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(ToString::to_string)).finish()
    }
}

/// Private keys that decrypt backups. Never logged or sent in a response, and erased when dropped. Cheap to clone.
#[derive(Clone)]
pub struct AgeIdentity(Arc<[Identity]>);

/// The error for a string that contains no identity, or something other than identities and comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not the content of a file of `age-keygen`, nor its line that begins with AGE-SECRET-KEY-1")]
pub struct InvalidIdentity;

impl AgeIdentity {
    pub(super) fn from_vars(vars: &Vars) -> Result<Option<Self>, ConfigError> {
        let Some(text) = vars.secret(IDENTITY)? else { return Ok(None) };
        text.expose().parse().map(Some).map_err(|InvalidIdentity| {
            ConfigError::new(
                IDENTITY,
                "is not an age identity",
                format!("set it to the content of the file of `age-keygen`, or set {IDENTITY}_FILE to its path"),
            )
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = &Identity> {
        self.0.iter()
    }

    /// Returns the content of an identity file with these keys.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for key in self.iter() {
            text.push_str(key.to_string().expose_secret());
            text.push('\n');
        }
        text
    }
}

impl FromStr for AgeIdentity {
    type Err = InvalidIdentity;

    /// Parses the content of an identity file: a key on each line. Comments begin with `#`.
    fn from_str(text: &str) -> Result<Self, InvalidIdentity> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys = lines.map(|line| line.parse().map_err(|_| InvalidIdentity)).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(InvalidIdentity) } else { Ok(Self(keys.into())) }
    }
}

impl std::fmt::Debug for AgeIdentity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("AgeIdentity(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_are_separated_by_commas_and_white_space() {
        let keys: Vec<String> = (0..3).map(|_| Identity::generate().to_public().to_string()).collect();
        let parsed: AgeRecipients = format!("{}, {}\n{}", keys[0], keys[1], keys[2]).parse().unwrap();
        assert_eq!(parsed.iter().map(ToString::to_string).collect::<Vec<_>>(), keys);
        assert!("".parse::<AgeRecipients>().unwrap().is_empty());
    }

    #[test]
    fn identity_is_no_recipient_and_not_shown() {
        let error = "AGE-SECRET-KEY-1QQQ".parse::<AgeRecipients>().unwrap_err();
        assert_eq!(error.to_string(), "contains `AGE-SECRET-KEY-…`, which is not an age recipient");
        assert!("age1xyz".parse::<AgeRecipients>().is_err());
    }

    #[test]
    fn identity_file_is_parsed_and_written() {
        let (first, second) = (Identity::generate().to_string(), Identity::generate().to_string());
        let (first, second) = (first.expose_secret(), second.expose_secret());
        let identity: AgeIdentity = format!("# created: now\n{first}\n\n  {second}\r\n").parse().unwrap();
        assert_eq!(*identity.to_text(), format!("{first}\n{second}\n"));
        assert!(!format!("{identity:?}").contains(first));
        for text in ["", "# only a comment", "AGE-SECRET-KEY-1QQQ", "age1qqq"] {
            assert!(text.parse::<AgeIdentity>().is_err(), "{text}");
        }
    }
}
