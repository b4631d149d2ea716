//! The names of copies of objects in backups.

use super::keys::copies_prefix;
use crate::{
    config::AgeRecipients,
    secrets::{DerivedKey, MasterKey},
};

/// Length of a name in bytes.
pub(super) const NAME_BYTES: usize = 32;

/// The name of a copy.
pub(super) type CopyName = [u8; NAME_BYTES];

/// Derives the names of copies. A name reveals neither the content nor whether two projects have the same content. It
/// also depends on the recipients, so that a backup never reuses a copy that its recipients can't decrypt. Cheap to
/// clone.
#[derive(Clone)]
pub struct CopyNames {
    key: DerivedKey,
    /// Message authentication code of the recipients.
    recipients: [u8; 32],
}

impl CopyNames {
    pub fn new(master_key: &MasterKey, recipients: &AgeRecipients) -> Self {
        let key = master_key.derive("names of object copies");
        let mut texts: Vec<String> = recipients.iter().map(ToString::to_string).collect();
        texts.sort();
        let recipients = key.mac(&[b"recipients\0", texts.join(",").as_bytes()]);
        Self { key, recipients }
    }

    /// Returns the name of the copy of the content with this hash.
    pub(super) fn name(&self, project: &str, sha256: &[u8; 32]) -> CopyName {
        self.key.mac(&[b"copy\0", &self.recipients, project.as_bytes(), b"\0", sha256])
    }
}

/// Returns the key of a copy in the platform's bucket.
pub(super) fn copy_key(project: &str, name: &CopyName) -> String {
    format!("{}{}", copies_prefix(project), hex::encode(name))
}

/// Parses a name in hexadecimal.
pub(super) fn parse_name(text: &str) -> Option<CopyName> {
    hex::decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use age::x25519::Identity;

    use super::*;

    #[test]
    fn names_depend_on_key_recipients_project_and_content() {
        let (master, sha256) = (MasterKey::generate(), [1; 32]);
        let recipients = |count: usize| -> AgeRecipients {
            let texts: Vec<String> = (0..count).map(|_| Identity::generate().to_public().to_string()).collect();
            texts.join(",").parse().unwrap()
        };
        let plain = CopyNames::new(&master, &recipients(0));
        let name = plain.name("a", &sha256);
        assert_eq!(name, CopyNames::new(&master, &recipients(0)).name("a", &sha256));
        for other in [
            plain.name("b", &sha256),
            plain.name("a", &[2; 32]),
            CopyNames::new(&master, &recipients(1)).name("a", &sha256),
            CopyNames::new(&MasterKey::generate(), &recipients(0)).name("a", &sha256),
        ] {
            assert_ne!(name, other);
        }
        assert_eq!(parse_name(&hex::encode(name)), Some(name));
        assert!(copy_key("a", &name).starts_with("backup-objects/a/"));
    }

    #[test]
    fn order_of_recipients_does_not_matter() {
        let (a, b) = (Identity::generate().to_public().to_string(), Identity::generate().to_public().to_string());
        let master = MasterKey::generate();
        let names = |text: String| CopyNames::new(&master, &text.parse().unwrap()).name("p", &[0; 32]);
        assert_eq!(names(format!("{a},{b}")), names(format!("{b} {a}")));
    }
}
