//! Replaces secrets in a stream of bytes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use memchr::{memchr_iter, memmem};

use super::Redactor;

/// Number of bytes of a secret that are compared to recognize its beginning at the end of a chunk. Comparing more would
/// take a time that grows with the square of the secret's length.
const COMPARED_BYTES: usize = 64;

/// Redacts a stream of chunks. Finds secrets that are split between chunks, because it keeps the end of a chunk back if
/// a secret may begin there. It keeps back less than three times the length of the longest encoding of a secret.
pub struct StreamRedactor {
    redactor: Arc<Redactor>,
    /// The end of the bytes so far, not redacted.
    held: Bytes,
}

impl StreamRedactor {
    pub fn new(redactor: Arc<Redactor>) -> Self {
        Self { redactor, held: Bytes::new() }
    }

    /// Adds a chunk and returns the redacted bytes that can't change any more, which may be none.
    pub fn push(&mut self, chunk: Bytes) -> Bytes {
        if self.redactor.is_empty() {
            return chunk;
        }
        let bytes = if self.held.is_empty() {
            chunk
        } else {
            let mut bytes = BytesMut::with_capacity(self.held.len() + chunk.len());
            bytes.extend_from_slice(&self.held);
            bytes.extend_from_slice(&chunk);
            bytes.freeze()
        };
        let end = self.redactor.settled_end(&bytes);
        // A copy, because a slice would keep the whole chunk in memory.
        self.held = Bytes::copy_from_slice(&bytes[end..]);
        self.redacted(bytes.slice(..end))
    }

    /// Returns the rest, at the end of the stream.
    pub fn finish(&mut self) -> Bytes {
        let held = std::mem::take(&mut self.held);
        self.redacted(held)
    }

    fn redacted(&self, bytes: Bytes) -> Bytes {
        match self.redactor.bytes(&bytes) {
            std::borrow::Cow::Owned(redacted) => redacted.into(),
            std::borrow::Cow::Borrowed(_) => bytes,
        }
    }
}

impl Redactor {
    /// Returns whether there are no secrets.
    fn is_empty(&self) -> bool {
        self.long.is_empty() && self.short.is_none()
    }

    fn forms(&self) -> impl Iterator<Item = &[u8]> {
        self.long.iter().map(|form| form.as_slice()).chain(self.short_forms.iter().map(|form| form.as_bytes()))
    }

    /// Returns the length of the beginning of `bytes` whose redaction does not depend on the bytes that follow.
    fn settled_end(&self, bytes: &[u8]) -> usize {
        let begun = self.forms().filter_map(|form| begun_at(bytes, form)).min().unwrap_or(bytes.len());
        let longest = self.forms().map(<[u8]>::len).max().unwrap_or(0);
        let mut end = begun;
        // A secret that extends past `end` is held back as a whole, because its redaction may depend on the bytes that
        // follow.
        while let Some(start) = self.match_across(bytes, end)
            && begun - start < 2 * longest
        {
            end = start;
        }
        end
    }

    /// Returns the start of a secret that begins before `end` and ends after it.
    fn match_across(&self, bytes: &[u8], end: usize) -> Option<usize> {
        if end == bytes.len() {
            return None;
        }
        let long = self.long.iter().find_map(|form| {
            memmem::find_iter(bytes, form.as_slice()).find(|start| *start < end && end < start + form.len())
        });
        let short = || {
            let mut matches = self.short.as_ref()?.find_iter(bytes).map(|found| found.range());
            matches.find(|range| range.start < end && end < range.end).map(|range| range.start)
        };
        long.or_else(short)
    }
}

/// Returns the first position from which the rest of `bytes` may be the beginning of `form`.
fn begun_at(bytes: &[u8], form: &[u8]) -> Option<usize> {
    let from = bytes.len().saturating_sub(form.len() - 1);
    let end = &bytes[from..];
    let is_beginning = |at: &usize| {
        let rest = &end[*at..];
        let compared = rest.len().min(COMPARED_BYTES);
        rest[..compared] == form[..compared]
    };
    memchr_iter(*form.first()?, end).find(is_beginning).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::Secret;

    fn redactor(secrets: &[&str]) -> Arc<Redactor> {
        let secrets: BTreeMap<String, Secret> =
            secrets.iter().enumerate().map(|(index, secret)| (index.to_string(), Secret::new(*secret))).collect();
        Arc::new(Redactor::new(&secrets))
    }

    fn redact<'a>(redactor: &Arc<Redactor>, chunks: impl IntoIterator<Item = &'a [u8]>) -> String {
        let mut stream = StreamRedactor::new(Arc::clone(redactor));
        let mut redacted = Vec::new();
        for chunk in chunks {
            redacted.extend_from_slice(&stream.push(Bytes::copy_from_slice(chunk)));
        }
        redacted.extend_from_slice(&stream.finish());
        String::from_utf8(redacted).unwrap()
    }

    #[test]
    fn result_does_not_depend_on_the_chunks() {
        let long = "long-".repeat(100);
        let redactor = redactor(&["hunter2", "hunter2-and-more", "a b/c", "aaaaaab", &long, "2-aaaaaa"]);
        let text = format!(
            "is hunter2, hunter2-and-mor, hunter2-and-more, aaaaaaaaaaab a%20b%2Fc {long} {} hunter2-aaaaaab hunte \
             aaaa",
            &long[..400]
        );
        let expected = String::from_utf8(redactor.bytes(text.as_bytes()).into_owned()).unwrap();
        assert!(!expected.contains("hunter2") && expected.contains("hunte aaaa"), "{expected}");
        for size in 1..=text.len() {
            assert_eq!(redact(&redactor, text.as_bytes().chunks(size)), expected, "chunks of {size} bytes");
        }
        for at in 0..text.len() {
            let (before, after) = text.as_bytes().split_at(at);
            assert_eq!(redact(&redactor, [before, after]), expected, "split at {at}");
        }
    }

    #[test]
    fn only_possible_beginnings_are_held() {
        let mut stream = StreamRedactor::new(redactor(&["hunter2"]));
        assert_eq!(stream.push(Bytes::from_static(b"nothing")), "nothing");
        assert_eq!(stream.push(Bytes::from_static(b"the hunt")), "the ");
        assert_eq!(stream.push(Bytes::from_static(b"er")), "");
        assert_eq!(stream.push(Bytes::from_static(b" goes on")), "hunter goes on");
        assert_eq!(stream.push(Bytes::from_static(b"hunter")), "");
        assert_eq!(stream.push(Bytes::from_static(b"2!")), "***!");
        assert_eq!(stream.finish(), "");
        // Without secrets, nothing is held.
        let mut stream = StreamRedactor::new(redactor(&[]));
        assert_eq!(stream.push(Bytes::from_static(b"hunter")), "hunter");
    }

    #[test]
    fn bytes_held_for_repeated_overlapping_secrets_are_bounded() {
        let (first, second) = (format!("ab{}", "x".repeat(400)), format!("xxab{}", "x".repeat(300)));
        let mut stream = StreamRedactor::new(redactor(&[&first, &second]));
        for _ in 0..100 {
            stream.push(Bytes::from(first.clone()));
            assert!(stream.held.len() < 8 * first.len(), "{}", stream.held.len());
        }
    }
}
