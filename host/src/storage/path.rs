//! Rules for bucket names, object paths and list prefixes. Pure: uses no HTTP, database or store.
//!
//! An object's key in the store is `<bucket>/<path>`, inside the project's one bucket there. Only [`ObjectPath`] builds
//! such a key, and only the parsers in this file build an [`ObjectPath`].

use std::{borrow::Cow, fmt};

use percent_encoding::percent_decode_str;

use crate::{
    db::is_project_id,
    error::{ApiError, Code},
};

/// Maximum length of an object key in bytes, including bucket and slash. This is S3's own limit.
pub const MAX_KEY_BYTES: usize = 1024;

/// A bucket name: 1 to 63 lowercase letters, digits, `-` and `_`, starting with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketName(String);

impl BucketName {
    /// Parses a bucket name.
    ///
    /// # Errors
    /// Returns `invalid_request` if the name is invalid.
    pub fn parse(name: &str) -> Result<Self, ApiError> {
        let valid = (1..=63).contains(&name.len())
            && !name.starts_with(['-', '_'])
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'));
        if valid {
            Ok(Self(name.to_owned()))
        } else {
            Err(ApiError::invalid("The bucket name is invalid.")
                .with_hint("Use 1 to 63 lowercase letters, digits, `-` and `_`, starting with a letter or digit."))
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

/// The location of one object: a valid bucket name and a valid path in that bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectPath {
    /// `<bucket>/<path>`.
    key: String,
    bucket_length: usize,
}

impl ObjectPath {
    /// Parses a path in `bucket`.
    ///
    /// # Errors
    /// Returns `invalid_path` if the path or key is invalid. The message names the violated rule.
    pub fn new(bucket: &BucketName, path: &str) -> Result<Self, ApiError> {
        check(path, Shape::Whole).and_then(|()| check_length(bucket, path)).map_err(invalid_path)?;
        Ok(Self { key: format!("{bucket}/{path}"), bucket_length: bucket.0.len() })
    }

    /// Parses an object key, `<bucket>/<path>`. If `bucket` is given, the key must be in it.
    ///
    /// # Errors
    /// Returns `invalid_path` if the path or key is invalid. The message names the violated rule.
    pub fn from_key(bucket: Option<&str>, key: &str) -> Result<Self, ApiError> {
        let Some((key_bucket, path)) = key.split_once('/') else {
            return Err(invalid_path("must start with a bucket name and a slash"));
        };
        let Ok(name) = BucketName::parse(key_bucket) else {
            return Err(invalid_path("must start with a valid bucket name"));
        };
        if bucket.is_some_and(|bucket| bucket != key_bucket) {
            return Err(key_in_another_bucket());
        }
        Self::new(&name, path)
    }

    /// Returns the key in the project's bucket of the store, `<bucket>/<path>`.
    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn bucket(&self) -> &str {
        &self.key[..self.bucket_length]
    }

    /// Returns the path inside the bucket.
    pub fn path(&self) -> &str {
        &self.key[self.bucket_length + 1..]
    }

    /// Returns whether the path begins with a folder that has the name of the bucket.
    pub(super) fn is_in_folder_of_its_bucket(&self) -> bool {
        self.path().split_once('/').is_some_and(|(first, _)| first == self.bucket())
    }

    /// Returns the last segment of the path.
    pub fn file_name(&self) -> &str {
        self.path().rsplit('/').next().unwrap_or_default()
    }
}

/// Returns the key prefix of a listing, `<bucket>/<prefix>`.
///
/// # Errors
/// Returns `invalid_path` if `prefix` is invalid. It may end in the middle of a segment or with a slash.
pub(super) fn list_prefix(bucket: &BucketName, prefix: &str) -> Result<String, ApiError> {
    if !prefix.is_empty() {
        check(prefix, Shape::Prefix).and_then(|()| check_length(bucket, prefix)).map_err(invalid_prefix)?;
    }
    Ok(format!("{bucket}/{prefix}"))
}

/// Returns the error for a key whose bucket differs from the bucket that the request names.
pub(super) fn key_in_another_bucket() -> ApiError {
    invalid_path("is not in the bucket that the request names")
}

/// Returns the error for a path that starts with the name of another bucket of the project.
pub(super) fn path_in_another_bucket(bucket: &str) -> ApiError {
    invalid_path("starts with the name of another bucket").with_hint(format!(
        "The project has a bucket `{bucket}`, so no path may begin with `{bucket}/`. Name the folder differently, or \
         upload to that bucket."
    ))
}

/// Returns the error for a path that starts with the name of its own bucket. As an object key, such a path would name
/// another object.
pub(super) fn path_with_its_bucket(path: &ObjectPath) -> ApiError {
    let bucket = path.bucket();
    invalid_path("starts with the name of its own bucket").with_hint(format!(
        "A path is relative to its bucket: leave `{bucket}/` out. A folder can't have the name of its bucket."
    ))
}

/// Returns the error for a path that starts with the name of a project's bucket in the store.
pub(super) fn path_in_project_bucket() -> ApiError {
    invalid_path(IN_PROJECT_BUCKET)
}

/// The rule that a path must not start with the name of a project's bucket in the store.
const IN_PROJECT_BUCKET: &str =
    "starts with a name like that of a project's bucket in the object store (`proj-` and 8 to 24 letters and digits)";

/// Whether a checked text is a whole path or the prefix of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Whole,
    /// May end in the middle of a segment or with a slash.
    Prefix,
}

fn invalid_path(rule: &'static str) -> ApiError {
    ApiError::new(Code::InvalidPath, format!("The object path {rule}.")).with_hint(
        "Send a `path` like `notes/x.png`, or the `objectKey` of the upload response, like `uploads/notes/x.png`.",
    )
}

fn invalid_prefix(rule: &'static str) -> ApiError {
    ApiError::new(Code::InvalidPath, format!("The prefix {rule}."))
        .with_hint("Send the beginning of paths in the bucket, like `notes/`, without the name of the bucket.")
}

fn check_length(bucket: &BucketName, path: &str) -> Result<(), &'static str> {
    if bucket.0.len() + 1 + path.len() > MAX_KEY_BYTES {
        return Err("is longer than 1024 bytes including the bucket");
    }
    Ok(())
}

/// Checks the text and every result of repeated percent-decoding, because a component between AtlasHub and the store
/// may decode once more than expected. Terminates because each decoding shortens the text.
fn check(path: &str, shape: Shape) -> Result<(), &'static str> {
    if path.len() > MAX_KEY_BYTES {
        return Err("is longer than 1024 bytes including the bucket");
    }
    let mut text = Cow::Borrowed(path);
    loop {
        check_plain(&text, shape)?;
        let decoded = percent_decode_str(&text)
            .decode_utf8()
            // Also rejects overlong encodings of dots and slashes.
            .map_err(|_| "contains percent-encoded bytes that are not UTF-8")?;
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
        return Err("starts with a slash");
    }
    for character in path.chars() {
        match character {
            '\0' => return Err("contains a NUL character"),
            '\\' => return Err("contains a backslash"),
            // Includes tabs, newlines, C1 controls, and separators that some programs treat as newlines.
            _ if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') => {
                return Err("contains a control character");
            }
            // These display a name differently from its order of characters: `gpj.exe` as `exe.jpg`.
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                return Err("contains a character that changes the text direction");
            }
            _ => {}
        }
    }
    let mut segments = path.split('/').peekable();
    let mut first = true;
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        // A prefix `notes/`, `notes/.` or `notes/..` can still continue as `notes/..profile`.
        if !(last && shape == Shape::Prefix) {
            match segment {
                "" if last => return Err("ends with a slash"),
                "" => return Err("contains an empty segment (two slashes in a row)"),
                "." | ".." => return Err("contains a segment `.` or `..`"),
                _ => {}
            }
        }
        // A prefix `proj-abcdefgh` can still continue as `proj-abcdefgh-2/x`.
        if first && !(last && shape == Shape::Prefix) && is_project_bucket(segment) {
            return Err(IN_PROJECT_BUCKET);
        }
        first = false;
    }
    Ok(())
}

/// Returns whether `segment` is `proj-<id>`, the name of a project's bucket in the store. A path that starts with it is
/// most likely an attempt to access another project.
pub(super) fn is_project_bucket(segment: &str) -> bool {
    segment.strip_prefix("proj-").is_some_and(is_project_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uploads() -> BucketName {
        BucketName::parse("uploads").unwrap()
    }

    #[test]
    fn bucket_names_are_validated() {
        for name in ["a", "0", "private", "my-bucket_2", &"x".repeat(63)] {
            assert!(BucketName::parse(name).is_ok(), "{name}");
        }
        for name in ["", "-a", "_a", "A", "a.b", "a/b", "a b", "ä", "..", &"x".repeat(64)] {
            assert!(BucketName::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn valid_paths_are_accepted_unchanged() {
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

    const INVALID_PATHS: &[&str] = &[
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
    fn invalid_paths_are_rejected_even_if_encoded() {
        for path in INVALID_PATHS {
            for outcome in
                [ObjectPath::new(&uploads(), path), ObjectPath::from_key(Some("uploads"), &format!("uploads/{path}"))]
            {
                match outcome {
                    Err(error) => assert_eq!(error.code(), Code::InvalidPath, "{path:?}"),
                    Ok(_) => panic!("{path:?} was accepted"),
                }
            }
        }
        assert!(ObjectPath::new(&uploads(), &"x".repeat(1025 - "uploads/".len())).is_err());
        assert!(ObjectPath::new(&uploads(), &"x".repeat(1025)).is_err());
    }

    #[test]
    fn keys_outside_the_named_bucket_are_rejected() {
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
    fn list_prefix_may_end_in_dots_that_an_object_name_can_begin_with() {
        for prefix in ["", "notes/", "notes/x.p", "a b/", "proj-abcdefgh-2/", "..", "notes/..", "..a/..", "a/%2e."] {
            assert_eq!(list_prefix(&uploads(), prefix).unwrap(), format!("uploads/{prefix}"));
        }
        for prefix in ["/", "/a", "a//b", "a\\", "a\0", "proj-abcdefgh/", "./", "../", "a/../b", "%2e%2e/", "..%2f"] {
            assert!(list_prefix(&uploads(), prefix).unwrap_err().message().starts_with("The prefix "), "{prefix}");
        }
    }
}
