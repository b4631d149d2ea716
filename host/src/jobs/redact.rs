//! Keeps secrets out of what a run tells.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::Secret;

/// Shorter ones would blank out half of every line.
const SHORTEST: usize = 4;
/// A word of a header's value, such as the token after `Bearer`, is a secret of its own from this length on.
const SHORTEST_WORD: usize = 8;
const REPLACEMENT: &str = "***";

/// Replaces the values of a run's secrets wherever they turn up.
#[derive(Default)]
pub(super) struct Redactor {
    /// Longest first, so that one that holds another goes as a whole.
    secrets: Vec<Secret>,
}

impl Redactor {
    pub(super) fn new(secrets: &BTreeMap<String, Secret>) -> Self {
        let mut found: Vec<Secret> = Vec::new();
        for (name, secret) in secrets {
            let value = secret.expose();
            if value.chars().count() >= SHORTEST {
                found.push(secret.clone());
            }
            if name.starts_with("header.") {
                let words = value.split_whitespace().filter(|word| word.len() >= SHORTEST_WORD && *word != value);
                found.extend(words.map(Secret::new));
            }
        }
        found.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Self { secrets: found }
    }

    /// The text without secrets, and without what Postgres can't store.
    pub(super) fn text(&self, text: &str) -> String {
        let mut text = text.replace('\0', "\u{fffd}");
        for secret in &self.secrets {
            if text.contains(secret.expose()) {
                text = text.replace(secret.expose(), REPLACEMENT);
            }
        }
        text
    }

    /// The same for every text in a JSON value, names of fields too.
    pub(super) fn json(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.json(item)).collect()),
            Value::Object(fields) => {
                Value::Object(fields.into_iter().map(|(name, value)| (self.text(&name), self.json(value))).collect())
            }
            // A secret may be a number.
            Value::Number(number) if self.secrets.iter().any(|secret| number.to_string() == secret.expose()) => {
                Value::String(REPLACEMENT.to_owned())
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redactor(secrets: &[(&str, &str)]) -> Redactor {
        let secrets = secrets.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect();
        Redactor::new(&secrets)
    }

    #[test]
    fn secrets_are_replaced_wherever_they_are() {
        let redactor =
            redactor(&[("header.authorization", "Bearer abcdefgh1234"), ("body", "pass\"word\n"), ("b", "1234567")]);
        let check = |text: &str, expected: &str| assert_eq!(redactor.text(text), expected);
        check("sent Bearer abcdefgh1234 twice: Bearer abcdefgh1234", "sent *** twice: ***");
        check("token abcdefgh1234", "token ***");
        check("pass\"word\n", "***");
        check("a\0b", "a\u{fffd}b");
        let value = json!({ "pass\"word\n": ["Bearer abcdefgh1234", 1_234_567, 5, null, { "x": "-1234567-" }] });
        assert_eq!(redactor.json(value), json!({ "***": ["***", "***", 5, null, { "x": "-***-" }] }));
    }

    #[test]
    fn short_values_are_no_secrets() {
        let redactor = redactor(&[("header.x", "abc"), ("header.y", "a b")]);
        assert_eq!(redactor.text("abc a b"), "abc a b");
    }
}
