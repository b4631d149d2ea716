//! What names are allowed: buckets and the objects in them. Pure; knows no HTTP, database or store.
//!
//! An object's key in the store is `<bucket>/<path>`, inside the project's one bucket there. Nothing but
//! [`ObjectPath`] makes such a key, and nothing but the parsers here makes an [`ObjectPath`].

use std::{borrow::Cow, fmt};

use percent_encoding::percent_decode_str;

use crate::error::{ApiError, Code};

/// Longest key of an object in bytes, bucket and slash included: S3's own limit.
pub const MAX_KEY_BYTES: usize = 1024;

/// A bucket's name: lowercase letters, digits, `-` and `_`, 1 to 63 characters, the first a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketName(String);

impl BucketName {
    /// # Errors
    /// `invalid_request` where the name is not one a bucket can have.
    pub fn parse(name: &str) -> Result<Self, ApiError> {
        let valid = (1..=63).contains(&name.len())
            && !name.starts_with(['-', '_'])
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'));
        if valid {
            Ok(Self(name.to_owned()))
        } else {
            Err(ApiError::invalid("This can't be the name of a bucket.")
                .with_hint("Use 1 to 63 lowercase letters, digits, `-` and `_`, and begin with a letter or digit."))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where one object is: a bucket and a path in it that passed every rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectPath {
    /// `<bucket>/<path>`.
    key: String,
    bucket_length: usize,
}

impl ObjectPath {
    /// From a bucket and the path in it.
    ///
    /// # Errors
    /// `invalid_path`; the message says which rule it breaks.
    pub fn new(bucket: &BucketName, path: &str) -> Result<Self, ApiError> {
        check(path, Shape::Whole).and_then(|()| check_length(bucket, path)).map_err(invalid_path)?;
        Ok(Self { key: format!("{bucket}/{path}"), bucket_length: bucket.0.len() })
    }

    /// From an object key, `<bucket>/<path>`, that must be in `bucket` where one is named.
    ///
    /// # Errors
    /// `invalid_path`; the message says which rule it breaks.
    pub fn from_key(bucket: Option<&str>, key: &str) -> Result<Self, ApiError> {
        let Some((key_bucket, path)) = key.split_once('/') else {
            return Err(invalid_path("has no bucket before its path"));
        };
        let Ok(name) = BucketName::parse(key_bucket) else {
            return Err(invalid_path("does not begin with the name of a bucket"));
        };
        if bucket.is_some_and(|bucket| bucket != key_bucket) {
            return Err(invalid_path("is not in the bucket that the request names"));
        }
        Self::new(&name, path)
    }

    /// `<bucket>/<path>`: the key in the project's bucket of the store.
    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn bucket(&self) -> &str {
        &self.key[..self.bucket_length]
    }

    /// Path inside the bucket.
    pub fn path(&self) -> &str {
        &self.key[self.bucket_length + 1..]
    }

    /// Last part of the path.
    pub fn file_name(&self) -> &str {
        self.path().rsplit('/').next().unwrap_or_default()
    }
}

/// What keys of a listing begin with, in the store: `<bucket>/<prefix>`.
///
/// # Errors
/// `invalid_path` where no path could begin so.
pub(super) fn list_prefix(bucket: &BucketName, prefix: &str) -> Result<String, ApiError> {
    if !prefix.is_empty() {
        check(prefix, Shape::Prefix).and_then(|()| check_length(bucket, prefix)).map_err(invalid_path)?;
    }
    Ok(format!("{bucket}/{prefix}"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Whole,
    /// May end in the middle of a segment, or right after one.
    Prefix,
}

fn invalid_path(rule: &'static str) -> ApiError {
    ApiError::new(Code::InvalidPath, format!("The path of the object {rule}.")).with_hint(
        "Send a path like `notes/x.png`, and as objectKey what the upload answered, like `uploads/notes/x.png`.",
    )
}

fn check_length(bucket: &BucketName, path: &str) -> Result<(), &'static str> {
    if bucket.0.len() + 1 + path.len() > MAX_KEY_BYTES {
        return Err("is longer than 1024 bytes together with its bucket");
    }
    Ok(())
}

/// Checks the text itself and whatever percent-decoding makes of it, however often: somebody between here and
/// the store may decode once more than expected. Each round is shorter than the one before, so this ends.
fn check(path: &str, shape: Shape) -> Result<(), &'static str> {
    if path.len() > MAX_KEY_BYTES {
        return Err("is longer than 1024 bytes together with its bucket");
    }
    let mut text = Cow::Borrowed(path);
    loop {
        check_plain(&text, shape)?;
        let decoded = percent_decode_str(&text)
            .decode_utf8()
            // Overlong encodings of dots and slashes end here too.
            .map_err(|_| "has percent-encoded bytes that are not UTF-8")?;
        if decoded == text {
            return Ok(());
        }
        text = Cow::Owned(decoded.into_owned());
    }
}

fn check_plain(path: &str, shape: Shape) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("is empty");
    }
    if path.starts_with('/') {
        return Err("begins with a slash");
    }
    for character in path.chars() {
        match character {
            '\0' => return Err("has a NUL character"),
            '\\' => return Err("has a backslash"),
            // Tabs and newlines, C1, and the separators that some programs take for newlines.
            _ if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') => {
                return Err("has a control character");
            }
            // A name that reads otherwise than it is: `gpj.exe` shown as `exe.jpg`.
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                return Err("has a character that changes the direction of writing");
            }
            _ => {}
        }
    }
    let mut segments = path.split('/').peekable();
    let mut first = true;
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        // `notes/` and `notes/.` can still become `notes/.profile`.
        if !(last && shape == Shape::Prefix && segment != "..") {
            match segment {
                "" if last => return Err("ends with a slash"),
                "" => return Err("has an empty segment (two slashes in a row)"),
                "." | ".." => return Err("has a segment `.` or `..`"),
                _ => {}
            }
        }
        if first && is_project_bucket(segment) {
            return Err("begins with the name of a project's storage");
        }
        first = false;
    }
    Ok(())
}

/// `proj-<id>`, the store's bucket of a project: nobody names a folder so but to reach another project's.
fn is_project_bucket(segment: &str) -> bool {
    segment.strip_prefix("proj-").is_some_and(|id| {
        (8..=24).contains(&id.len())
            && id.starts_with(|first: char| first.is_ascii_lowercase())
            && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uploads() -> BucketName {
        BucketName::parse("uploads").unwrap()
    }

    #[test]
    fn bucket_names() {
        for name in ["a", "0", "private", "my-bucket_2", &"x".repeat(63)] {
            assert!(BucketName::parse(name).is_ok(), "{name}");
        }
        for name in ["", "-a", "_a", "A", "a.b", "a/b", "a b", "ä", "..", &"x".repeat(64)] {
            assert!(BucketName::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn good_paths() {
        for path in [
            "x",
            "notes/x.png",
            ".well-known/x",
            "a..b",
            "...",
            "a b/c d.txt",
            "100%",
            "100%.txt",
            "50% off/%zz",
            "ünï/日本語/🦀.txt",
            "a+b&c=d?e#f",
            "%41",
            "it's (1)~!@$,;:.txt",
            "proj-plans/x",
            "uploads/x",
            &"x".repeat(1024 - "uploads/".len()),
        ] {
            let parsed = ObjectPath::new(&uploads(), path).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert_eq!(parsed.key(), format!("uploads/{path}"));
            assert_eq!(parsed.bucket(), "uploads");
            assert_eq!(parsed.path(), path);
            assert_eq!(ObjectPath::from_key(Some("uploads"), parsed.key()).unwrap(), parsed);
            assert_eq!(ObjectPath::from_key(None, parsed.key()).unwrap(), parsed);
        }
    }

    const BAD: &[&str] = &[
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/../b",
        "a/..",
        "a/./b",
        "./a",
        "a/.",
        "a\\b",
        "..\\a",
        "a\0b",
        "a\nb",
        "a\tb",
        "a\u{7f}b",
        "a\u{85}b",
        "a\u{9f}b",
        "a\u{2028}b",
        "a\u{202e}gpj.exe",
        "a\u{2066}b",
        "a\u{200f}b",
        "%2e%2e/a",
        "%2E./a",
        ".%2e/a",
        "a/%2e%2e",
        "a%2f..%2fb",
        "%2fa",
        "a%2f",
        "a%2f%2fb",
        "a/%2fb",
        "a%5cb",
        "a%5Cb",
        "a%00b",
        "a%0ab",
        "a%7fb",
        "a%c2%85b",
        "a%e2%80%aeb",
        "%252e%252e/a",
        "%25252e%25252e/a",
        "%2525252525252e./a",
        "%2%65%2e/a",
        "a%252fb%252f",
        "%c0%ae%c0%ae/a",
        "a%ffb",
        "a%25ffb",
        "proj-abcdefgh/uploads/x",
        "proj-abc123456789",
        "proj%2dabcdefgh/x",
    ];

    #[test]
    fn bad_paths() {
        for path in BAD {
            for outcome in
                [ObjectPath::new(&uploads(), path), ObjectPath::from_key(Some("uploads"), &format!("uploads/{path}"))]
            {
                match outcome {
                    Err(error) => assert_eq!(error.code(), Code::InvalidPath, "{path:?}"),
                    Ok(_) => panic!("{path:?} was taken"),
                }
            }
        }
        assert!(ObjectPath::new(&uploads(), &"x".repeat(1025 - "uploads/".len())).is_err());
        assert!(ObjectPath::new(&uploads(), &"x".repeat(1025)).is_err());
    }

    #[test]
    fn keys_of_other_places() {
        for (bucket, key) in [
            ("uploads", "private/x"),
            ("uploads", "uploads2/x"),
            ("uploads", "Uploads/x"),
            ("uploads", "x"),
            ("uploads", "uploads"),
            ("uploads", "uploads/"),
            ("uploads", "/uploads/x"),
            ("uploads", "../uploads/x"),
            ("uploads", "uploads/../private/x"),
            ("uploads", "uploads%2fx"),
            ("uploads", "proj-abcdefgh/uploads/x"),
            ("uploads", ""),
            ("", "uploads/x"),
        ] {
            let error = ObjectPath::from_key(Some(bucket), key).unwrap_err();
            assert_eq!(error.code(), Code::InvalidPath, "{bucket} {key}");
        }
    }

    #[test]
    fn prefixes() {
        for prefix in ["", "notes", "notes/", "notes/x.p", "notes/.", "a b/"] {
            assert_eq!(list_prefix(&uploads(), prefix).unwrap(), format!("uploads/{prefix}"));
        }
        for prefix in ["/", "/a", "a//", "a//b", "../", "..", "a/../b", "a\\", "%2e%2e/", "a\0", "proj-abcdefgh/"] {
            assert!(list_prefix(&uploads(), prefix).is_err(), "{prefix}");
        }
    }
}
