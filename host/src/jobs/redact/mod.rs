//! Removes secrets from a run's output and from responses that a plugin sees.
//!
//! A secret is found in the encodings in which servers return it: verbatim, escaped for JSON, encoded for a URL, and
//! within Base64. Parts that are secret themselves are found as well: the token after `Bearer`, a cookie's value, the
//! strings and numbers in a JSON value, the fields of a form. `stream` redacts bytes that arrive in chunks.

mod stream;

use std::{borrow::Cow, collections::BTreeMap};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use memchr::{memchr_iter, memmem};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::form_urlencoded;
use zeroize::Zeroizing;

pub use stream::StreamRedactor;

use crate::config::Secret;

/// Minimum number of characters of a secret. Shorter secrets would match in almost every line, so they are not
/// redacted. This is also the minimum length of the beginning of a secret at the end of truncated bytes.
const MIN_LENGTH: usize = 4;
/// Minimum length of a string in a JSON value, or of the value of a form's field, that counts as a secret itself, and
/// minimum number of digits of a number in a JSON value. Shorter ones are often words or numbers that occur everywhere,
/// such as years.
const MIN_FIELD_LENGTH: usize = 6;
/// Minimum number of bytes of a word that counts as a secret itself, such as the token after `Bearer`. Words of a
/// request body never do. This is also the minimum length of a fragment of Base64.
const MIN_WORD_LENGTH: usize = 8;
/// Maximum length in bytes of the encodings that an automaton searches for together. There are few longer encodings,
/// and they are searched for one by one.
const MAX_AUTOMATON_LENGTH: usize = 256;
const REPLACEMENT: &str = "***";
/// Limits for the search within Base64, per secret. A large body contains thousands of strings, and each has six
/// encodings in Base64.
const MAX_BASE64_VALUES: usize = 200;
const MAX_BASE64_VALUE_BYTES: usize = 4 << 10;

/// Common words that are never secret, in lower case.
const COMMON_WORDS: [&str; 28] = [
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
/// Headers whose values are never secret.
const PUBLIC_HEADERS: [&str; 8] = [
    "header.accept",
    "header.accept-charset",
    "header.accept-encoding",
    "header.accept-language",
    "header.cache-control",
    "header.content-encoding",
    "header.content-language",
    "header.content-type",
];

/// Characters that `encodeURIComponent` encodes.
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
/// All characters except the unreserved ones of RFC 3986.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Replaces the values of secrets with `***`, in time linear in the input.
#[derive(Default)]
pub struct Redactor {
    /// Encodings that are searched for one by one. Longest first, so that a secret that contains another is replaced as
    /// a whole.
    long: Vec<Zeroizing<Vec<u8>>>,
    short: Option<AhoCorasick>,
    /// The encodings in `short`, for truncated secrets at the end of an input.
    short_forms: Vec<Zeroizing<String>>,
    /// Secrets that JSON can contain as numbers.
    numbers: Vec<Zeroizing<String>>,
}

impl Redactor {
    pub fn new(secrets: &BTreeMap<String, Secret>) -> Self {
        Self::from_secrets(secrets)
    }

    /// Creates a redactor for secrets by name. Headers are named `header.<name>`, a request body `body`.
    pub fn from_secrets<'a>(secrets: impl IntoIterator<Item = (&'a String, &'a Secret)>) -> Self {
        let mut forms: Vec<String> = Vec::new();
        for (name, secret) in secrets {
            if !PUBLIC_HEADERS.contains(&name.as_str()) {
                for (index, value) in secret_parts(name, secret.expose()).iter().enumerate() {
                    forms.extend(encodings_of(value));
                    if index < MAX_BASE64_VALUES && value.len() <= MAX_BASE64_VALUE_BYTES {
                        forms.extend(base64_fragments(value.as_bytes()));
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
            forms.extract_if(.., |form| form.len() <= MAX_AUTOMATON_LENGTH).map(Zeroizing::new).collect();
        let mut long: Vec<Zeroizing<Vec<u8>>> =
            forms.into_iter().map(|form| Zeroizing::new(form.into_bytes())).collect();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(short.iter().map(|form| form.as_bytes()));
        let automaton = match automaton {
            _ if short.is_empty() => None,
            Ok(automaton) => Some(automaton),
            // Too large for the automaton: search for them one by one, which is slower.
            Err(_) => {
                long.extend(short.iter().map(|form| Zeroizing::new(form.as_bytes().to_vec())));
                None
            }
        };
        let numbers = short.iter().filter(|form| form.parse::<f64>().is_ok()).cloned().collect();
        Self { long, short: automaton, short_forms: short, numbers }
    }

    /// Redacts a string. Also replaces NUL characters, which Postgres can't store.
    pub fn text(&self, text: &str) -> String {
        let text = text.replace('\0', "\u{fffd}");
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => text,
            // Only whole characters were replaced.
            Cow::Owned(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// Redacts every string in a JSON value, including field names, and the numbers that are secrets.
    pub fn json(&self, value: Value) -> Value {
        if self.matches(&value) { self.redacted(value) } else { value }
    }

    /// Returns whether the value contains something to replace. Most values contain nothing, and need no copy.
    fn matches(&self, value: &Value) -> bool {
        let text_matches = |text: &str| text.contains('\0') || matches!(self.bytes(text.as_bytes()), Cow::Owned(_));
        match value {
            Value::String(text) => text_matches(text),
            Value::Array(items) => items.iter().any(|item| self.matches(item)),
            Value::Object(fields) => fields.iter().any(|(name, value)| text_matches(name) || self.matches(value)),
            Value::Number(number) => self.is_secret(number),
            Value::Null | Value::Bool(_) => false,
        }
    }

    /// Returns whether a number is a secret.
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

    /// Redacts bytes. Returns the input itself if it contains no secret.
    pub fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let mut found = Cow::Borrowed(bytes);
        for form in self.long.iter().filter(|form| form.len() <= bytes.len()) {
            let offsets: Vec<usize> = memmem::find_iter(&found, form.as_slice()).collect();
            if !offsets.is_empty() {
                found = Cow::Owned(replace_ranges(&found, offsets.into_iter().map(|at| at..at + form.len())));
            }
        }
        if let Some(automaton) = &self.short {
            let ranges: Vec<_> = automaton.find_iter(&*found).map(|found| found.range()).collect();
            if !ranges.is_empty() {
                found = Cow::Owned(replace_ranges(&found, ranges.into_iter()));
            }
        }
        found
    }

    /// Redacts truncated bytes, which can end with the beginning of a secret. The search for this beginning takes
    /// time up to the square of the secret's length, if the secret repeats its first byte.
    pub fn truncated_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let found = self.bytes(bytes);
        let forms = self.long.iter().map(|form| form.as_slice());
        let forms = forms.chain(self.short_forms.iter().map(|form| form.as_bytes()));
        let Some(length) = forms.filter_map(|form| prefix_length_at_end(&found, form)).max() else { return found };
        let end = found.len() - length;
        Cow::Owned(replace_ranges(&found, std::iter::once(end..found.len())))
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor")
    }
}

/// Returns the secret and the parts of it that are secrets themselves.
fn secret_parts(name: &str, value: &str) -> Vec<String> {
    let mut values = Vec::new();
    if value.chars().count() >= MIN_LENGTH {
        values.push(value.to_owned());
    }
    if let Ok(json @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(value) {
        collect_fields(json, &mut values);
    } else if name == "body" && value.contains('=') && !value.contains(char::is_whitespace) {
        let fields = form_urlencoded::parse(value.as_bytes()).map(|(_, field)| field.into_owned());
        values.extend(fields.filter(|field| is_secret_field(field)));
    }
    if name != "body" {
        let words = value.split(|c: char| c.is_whitespace() || "=;,&\"".contains(c));
        values.extend(words.filter(|word| word.len() >= MIN_WORD_LENGTH).map(str::to_owned));
    }
    values.retain(|value| !COMMON_WORDS.contains(&value.to_ascii_lowercase().as_str()));
    values
}

fn collect_fields(value: Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if is_secret_field(&text) => found.push(text),
        Value::Number(number) => {
            let number = number.to_string();
            if number.bytes().filter(u8::is_ascii_digit).count() >= MIN_FIELD_LENGTH {
                found.push(number);
            }
        }
        Value::Array(items) => items.into_iter().for_each(|item| collect_fields(item, found)),
        Value::Object(fields) => fields.into_iter().for_each(|(_, field)| collect_fields(field, found)),
        _ => {}
    }
}

fn is_secret_field(text: &str) -> bool {
    text.chars().count() >= MIN_FIELD_LENGTH
}

/// Returns the encodings of a value. For most values they are all the same.
fn encodings_of(value: &str) -> Vec<String> {
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
        // Some encoders escape slashes, although JSON does not require it.
        escaped.replace('/', "\\/"),
        escaped,
        ascii,
        utf8_percent_encode(value, COMPONENT).to_string(),
        // Form encoding.
        strict.replace("%20", "+"),
        strict,
    ]
}

/// Returns fragments of the value in Base64, in both alphabets. Every Base64 string whose data contains the value
/// contains one of these fragments. Those that are too short are left out, because they would match by chance.
///
/// The value can start at each of the three bytes of a group. Characters that also encode neighbouring bytes are not
/// part of a fragment.
fn base64_fragments(value: &[u8]) -> impl Iterator<Item = String> {
    let fragments = (0..3usize).filter_map(move |before| {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(value);
        let encoded = STANDARD_NO_PAD.encode(&bytes);
        let fragment = encoded.get((before * 8).div_ceil(6)..bytes.len() * 8 / 6)?;
        (fragment.len() >= MIN_WORD_LENGTH).then(|| fragment.to_owned())
    });
    fragments.flat_map(|fragment| [fragment.replace('+', "-").replace('/', "_"), fragment])
}

/// Returns the length of the prefix of `form` that `bytes` end with, if it is long enough not to be a coincidence.
fn prefix_length_at_end(bytes: &[u8], form: &[u8]) -> Option<usize> {
    let from = bytes.len().saturating_sub(form.len().checked_sub(1)?);
    let end = &bytes[from..];
    let is_prefix = |at: &usize| end.len() - at >= MIN_LENGTH && form.starts_with(&end[*at..]);
    memchr_iter(*form.first()?, end).find(is_prefix).map(|at| end.len() - at)
}

fn replace_ranges(bytes: &[u8], ranges: impl Iterator<Item = std::ops::Range<usize>>) -> Vec<u8> {
    let mut redacted = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for range in ranges {
        redacted.extend_from_slice(&bytes[from..range.start]);
        redacted.extend_from_slice(REPLACEMENT.as_bytes());
        from = range.end;
    }
    redacted.extend_from_slice(&bytes[from..]);
    redacted
}

#[cfg(test)]
mod tests;
