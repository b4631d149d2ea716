//! Keeps secrets out of what a run tells, and out of what a plugin gets to see.
//!
//! A value is known in the forms that others give it back in: as it is, escaped for JSON, encoded for a URL, within Base64;
//! and in the parts that are secrets of their own: the token after `Bearer`, a cookie's value, the texts of a JSON body.

use std::{borrow::Cow, collections::BTreeMap};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use memchr::memmem;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::config::Secret;

/// Shorter ones would blank out half of every line.
const SHORTEST: usize = 4;
/// A text within a JSON value is a secret of its own from this length on.
const SHORTEST_LEAF: usize = 6;
/// So is a word of a header's value, such as the token after `Bearer`.
const SHORTEST_WORD: usize = 8;
/// Forms up to this length are looked for all at once; of longer ones there are few.
const SHORT_FORM: usize = 256;
const REPLACEMENT: &str = "***";
/// Values of one secret that are looked for within Base64 too, and their length: a large body has thousands of texts, and
/// each has six forms there.
const MOST_IN_BASE64: usize = 200;
const LONGEST_IN_BASE64: usize = 4 << 10;

/// What every other message has; in lower case.
const TRIVIAL: [&str; 28] = [
    "true",
    "false",
    "null",
    "none",
    "undefined",
    "bearer",
    "basic",
    "digest",
    "token",
    "apikey",
    "password",
    "username",
    "utf-8",
    "charset",
    "gzip",
    "deflate",
    "identity",
    "keep-alive",
    "no-cache",
    "close",
    "text/plain",
    "text/html",
    "*/*",
    "application/json",
    "application/xml",
    "application/octet-stream",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
];
/// Headers that hold no secret, whatever they say.
const PLAIN_HEADERS: [&str; 8] = [
    "header.accept",
    "header.accept-charset",
    "header.accept-encoding",
    "header.accept-language",
    "header.cache-control",
    "header.content-encoding",
    "header.content-language",
    "header.content-type",
];

/// As browsers encode a part of a URL (`encodeURIComponent`).
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');
/// As RFC 3986 does: all but its unreserved characters.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Replaces the values of secrets wherever they turn up. Takes time linear in what it is given.
#[derive(Default)]
pub struct Redactor {
    /// Longest first, so that one that holds another goes as a whole.
    long: Vec<Zeroizing<Vec<u8>>>,
    short: Option<AhoCorasick>,
    /// All that are short, for ends that were cut off.
    short_forms: Vec<Zeroizing<String>>,
    /// Those that JSON may hold as a number.
    numbers: Vec<Zeroizing<String>>,
}

impl Redactor {
    pub fn new(secrets: &BTreeMap<String, Secret>) -> Self {
        Self::of(secrets)
    }

    /// Of secrets by name; a header's is called `header.<name>`, a request's body `body`.
    pub fn of<'a>(secrets: impl IntoIterator<Item = (&'a String, &'a Secret)>) -> Self {
        let mut forms: Vec<String> = Vec::new();
        for (name, secret) in secrets {
            if !PLAIN_HEADERS.contains(&name.as_str()) {
                for (place, value) in values(name, secret.expose()).iter().enumerate() {
                    forms.extend(forms_of(value));
                    if place < MOST_IN_BASE64 && value.len() <= LONGEST_IN_BASE64 {
                        forms.extend(in_base64(value.as_bytes()));
                    }
                }
            }
        }
        if forms.is_empty() {
            return Self::default();
        }
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        let short: Vec<Zeroizing<String>> =
            forms.extract_if(.., |form| form.len() <= SHORT_FORM).map(Zeroizing::new).collect();
        let mut long: Vec<Zeroizing<Vec<u8>>> =
            forms.into_iter().map(|form| Zeroizing::new(form.into_bytes())).collect();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(short.iter().map(|form| form.as_bytes()));
        let automaton = match automaton {
            _ if short.is_empty() => None,
            Ok(automaton) => Some(automaton),
            // Slower, and all the same.
            Err(_) => {
                long.extend(short.iter().map(|form| Zeroizing::new(form.as_bytes().to_vec())));
                None
            }
        };
        let numbers = short.iter().filter(|form| form.parse::<f64>().is_ok()).cloned().collect();
        Self { long, short: automaton, short_forms: short, numbers }
    }

    /// The text without secrets, and without what Postgres can't store.
    pub fn text(&self, text: &str) -> String {
        let text = text.replace('\0', "\u{fffd}");
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => text,
            // Whole characters were replaced by characters.
            Cow::Owned(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// The same for every text in a JSON value, names of fields too.
    pub fn json(&self, value: Value) -> Value {
        if self.touches(&value) { self.redacted(value) } else { value }
    }

    /// Whether there is anything to replace: most values are passed on as they are.
    fn touches(&self, value: &Value) -> bool {
        let touches_text = |text: &str| text.contains('\0') || matches!(self.bytes(text.as_bytes()), Cow::Owned(_));
        match value {
            Value::String(text) => touches_text(text),
            Value::Array(items) => items.iter().any(|item| self.touches(item)),
            Value::Object(fields) => fields.iter().any(|(name, value)| touches_text(name) || self.touches(value)),
            Value::Number(number) => self.is_secret(number),
            Value::Null | Value::Bool(_) => false,
        }
    }

    /// A secret may be a number.
    fn is_secret(&self, number: &serde_json::Number) -> bool {
        !self.numbers.is_empty() && self.numbers.iter().any(|form| number.to_string() == **form)
    }

    fn redacted(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.redacted(item)).collect()),
            Value::Object(fields) => Value::Object(
                fields.into_iter().map(|(name, value)| (self.text(&name), self.redacted(value))).collect(),
            ),
            Value::Number(number) if self.is_secret(&number) => Value::String(REPLACEMENT.to_owned()),
            other => other,
        }
    }

    /// Bytes without secrets; the very same where there are none in them.
    pub fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let mut found = Cow::Borrowed(bytes);
        for form in self.long.iter().filter(|form| form.len() <= bytes.len()) {
            let places: Vec<usize> = memmem::find_iter(&found, form.as_slice()).collect();
            if !places.is_empty() {
                found = Cow::Owned(replaced(&found, places.into_iter().map(|at| at..at + form.len())));
            }
        }
        if let Some(automaton) = &self.short {
            let places: Vec<_> = automaton.find_iter(&*found).map(|place| place.range()).collect();
            if !places.is_empty() {
                found = Cow::Owned(replaced(&found, places.into_iter()));
            }
        }
        found
    }

    /// The same for bytes that were cut off somewhere, so that a secret's beginning may be their end.
    pub fn cut_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let found = self.bytes(bytes);
        let forms = self.long.iter().map(|form| form.as_slice());
        let forms = forms.chain(self.short_forms.iter().map(|form| form.as_bytes()));
        let Some(length) = forms.filter_map(|form| begun_at_the_end(&found, form)).max() else { return found };
        let end = found.len() - length;
        Cow::Owned(replaced(&found, std::iter::once(end..found.len())))
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor")
    }
}

/// What of a secret is one by itself.
fn values(name: &str, value: &str) -> Vec<String> {
    let mut values = Vec::new();
    if value.chars().count() >= SHORTEST {
        values.push(value.to_owned());
    }
    if let Ok(json @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(value) {
        leaves(json, &mut values);
    }
    if name != "body" {
        let words = value.split(|c: char| c.is_whitespace() || "=;,&\"".contains(c));
        values.extend(words.filter(|word| word.len() >= SHORTEST_WORD).map(str::to_owned));
    }
    values.retain(|value| !TRIVIAL.contains(&value.to_ascii_lowercase().as_str()));
    values
}

fn leaves(value: Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if text.chars().count() >= SHORTEST_LEAF => found.push(text),
        Value::Array(items) => items.into_iter().for_each(|item| leaves(item, found)),
        Value::Object(fields) => fields.into_iter().for_each(|(_, field)| leaves(field, found)),
        _ => {}
    }
}

/// How others write a value. Most values look the same in all of them.
fn forms_of(value: &str) -> Vec<String> {
    let escaped = Value::from(value).to_string();
    let escaped = escaped[1..escaped.len() - 1].to_owned();
    let ascii: String = escaped.chars().fold(String::new(), |mut text, c| {
        let mut units = [0; 2];
        match c {
            c if c.is_ascii() => text.push(c),
            c => c.encode_utf16(&mut units).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}"))),
        }
        text
    });
    let strict = utf8_percent_encode(value, STRICT).to_string();
    vec![
        value.to_owned(),
        // As some write a slash, which needs no escape.
        escaped.replace('/', "\\/"),
        escaped,
        ascii,
        utf8_percent_encode(value, COMPONENT).to_string(),
        // As forms do.
        strict.replace("%20", "+"),
        strict,
    ]
}

/// What is the same in every Base64 text, of either alphabet, that has the value somewhere in it: it may begin at each of the
/// three bytes of a group, and what it shares a character with is not its own.
fn in_base64(value: &[u8]) -> impl Iterator<Item = String> {
    let own = (0..3usize).filter_map(move |before| {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(value);
        let encoded = STANDARD_NO_PAD.encode(&bytes);
        let own = encoded.get((before * 8).div_ceil(6)..bytes.len() * 8 / 6)?;
        (own.len() >= SHORTEST_WORD).then(|| own.to_owned())
    });
    own.flat_map(|own| [own.replace('+', "-").replace('/', "_"), own])
}

/// How many bytes of `form` the bytes end with, where that is enough to be told from chance and not all of it.
fn begun_at_the_end(bytes: &[u8], form: &[u8]) -> Option<usize> {
    let beginning = form.get(..SHORTEST)?;
    let from = bytes.len().saturating_sub(form.len() - 1);
    let tail = &bytes[from..];
    memmem::find_iter(tail, beginning).find(|at| form.starts_with(&tail[*at..])).map(|at| tail.len() - at)
}

fn replaced(bytes: &[u8], places: impl Iterator<Item = std::ops::Range<usize>>) -> Vec<u8> {
    let mut without = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for place in places {
        without.extend_from_slice(&bytes[from..place.start]);
        without.extend_from_slice(REPLACEMENT.as_bytes());
        from = place.end;
    }
    without.extend_from_slice(&bytes[from..]);
    without
}

#[cfg(test)]
mod tests;
