//! Validates a manifest.

use serde_json::Value;

use crate::{Capability, Manifest, Scope, text::is_deceptive};

/// Maximum size of a manifest, in bytes.
const MAX_MANIFEST_BYTES: usize = 256 << 10;

/// Maximum number of jobs of a plugin.
const MAX_JOBS: usize = 50;

/// Maximum number of names in the scope of a capability.
const MAX_PATTERNS: usize = 100;

/// Maximum length of a name in a scope, in bytes.
const MAX_PATTERN_BYTES: usize = 255;

/// The reason why a manifest is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The manifest is too large.
    #[error("the manifest is larger than {} KiB", MAX_MANIFEST_BYTES >> 10)]
    TooLarge,
    /// The manifest is not JSON or does not have the expected fields.
    #[error("the manifest can't be read: {0}")]
    Json(String),
    /// The name of the plugin or of a job is malformed.
    #[error("invalid name `{0}`: use 2 to 40 lowercase letters, digits and hyphens, starting with a letter")]
    Name(String),
    /// A text is blank or too long. Contains the field and the maximum number of characters.
    #[error("{0} must have 1 to {1} characters, and not only spaces")]
    Text(&'static str, usize),
    /// A text contains a character that can make it look like another text. Contains the field and the character.
    #[error(
        "{0} contains the character U+{1:04X}; control characters, invisible characters and characters that change the \
         direction of text are not allowed"
    )]
    Character(&'static str, u32),
    /// The parameter schema of a job contains a character that can make a text look like another. Contains the job and
    /// the character.
    #[error(
        "the parameter schema of the job `{0}` contains the character U+{1:04X}, which is not allowed; in a pattern, \
         write it as an escape"
    )]
    SchemaCharacter(String, u32),
    /// The scope of a capability is invalid.
    #[error(
        "the scope of the capability `{0}` is invalid: it can contain up to {MAX_PATTERNS} names of 1 to \
         {MAX_PATTERN_BYTES} ASCII characters without spaces"
    )]
    Scope(Capability),
    /// The serial is 0.
    #[error("the serial must be at least 1")]
    Serial,
    /// There are no jobs, or too many.
    #[error("a plugin must have 1 to {MAX_JOBS} jobs")]
    Jobs,
    /// Two jobs have the same name.
    #[error("the job `{0}` is defined twice")]
    DuplicateJob(String),
    /// The parameter schema of a job is not the schema of an object.
    #[error("the parameter schema of the job `{0}` must have the type `object`")]
    ParamsSchema(String),
    /// A capability is requested twice.
    #[error("the capability `{0}` is requested twice")]
    DuplicateCapability(String),
    /// A limit is out of range. Contains the field and the maximum.
    #[error("the limit `{0}` must be 1 to {1}")]
    Limit(&'static str, u32),
}

impl Manifest {
    /// Parses and validates a manifest.
    ///
    /// # Errors
    /// Returns the first problem, described for the plugin's author.
    pub fn from_json(json: &[u8]) -> Result<Self, ManifestError> {
        if json.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge);
        }
        let manifest: Self = serde_json::from_slice(json).map_err(|error| ManifestError::Json(error.to_string()))?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// Checks that the fields of the manifest are valid.
    ///
    /// # Errors
    /// Returns the first problem, described for the plugin's author.
    pub fn validate(&self) -> Result<(), ManifestError> {
        check_name(&self.name)?;
        check_text("the version", &self.version, 40)?;
        check_text("the publisher", &self.publisher, 120)?;
        check_text("the description", &self.description, 500)?;
        if self.serial == 0 {
            return Err(ManifestError::Serial);
        }
        if self.jobs.is_empty() || self.jobs.len() > MAX_JOBS {
            return Err(ManifestError::Jobs);
        }
        for (index, job) in self.jobs.iter().enumerate() {
            check_name(&job.name)?;
            check_text("the description of a job", &job.description, 500)?;
            if self.jobs[..index].iter().any(|other| other.name == job.name) {
                return Err(ManifestError::DuplicateJob(job.name.clone()));
            }
            if job.params_schema.get("type").and_then(|kind| kind.as_str()) != Some("object") {
                return Err(ManifestError::ParamsSchema(job.name.clone()));
            }
            if let Some(character) = deceptive_character(&job.params_schema) {
                return Err(ManifestError::SchemaCharacter(job.name.clone(), character.into()));
            }
        }
        for (index, request) in self.capabilities.iter().enumerate() {
            check_text("the reason of a capability", &request.reason, 300)?;
            check_scope(request.capability, &request.scope)?;
            if self.capabilities[..index].iter().any(|other| other.capability == request.capability) {
                return Err(ManifestError::DuplicateCapability(request.capability.to_string()));
            }
        }
        self.limits.validate()
    }
}

impl crate::Limits {
    /// The highest values that a manifest may request.
    pub const MAX: Self = Self {
        memory_mib: 1024,
        wall_seconds: 24 * 3600,
        cpu_seconds: 3600,
        host_call_mib: 4096,
        // The host keeps no larger log, because it holds the log of a running run in memory.
        log_kib: 4 << 10,
        concurrent_runs: 64,
    };

    fn validate(&self) -> Result<(), ManifestError> {
        let limits = [
            ("memoryMib", self.memory_mib, Self::MAX.memory_mib),
            ("wallSeconds", self.wall_seconds, Self::MAX.wall_seconds),
            ("cpuSeconds", self.cpu_seconds, Self::MAX.cpu_seconds),
            ("hostCallMib", self.host_call_mib, Self::MAX.host_call_mib),
            ("logKib", self.log_kib, Self::MAX.log_kib),
            ("concurrentRuns", self.concurrent_runs, Self::MAX.concurrent_runs),
        ];
        match limits.into_iter().find(|(_, value, max)| *value == 0 || value > max) {
            Some((limit, _, max)) => Err(ManifestError::Limit(limit, max)),
            None => Ok(()),
        }
    }
}

fn check_name(name: &str) -> Result<(), ManifestError> {
    let is_valid = (2..=40).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if is_valid { Ok(()) } else { Err(ManifestError::Name(name.chars().take(60).collect())) }
}

fn check_text(field: &'static str, text: &str, max: usize) -> Result<(), ManifestError> {
    if text.trim().is_empty() || text.chars().count() > max {
        return Err(ManifestError::Text(field, max));
    }
    match text.chars().find(|character| is_deceptive(*character)) {
        Some(character) => Err(ManifestError::Character(field, character.into())),
        None => Ok(()),
    }
}

fn check_scope(capability: Capability, scope: &Scope) -> Result<(), ManifestError> {
    let lists = [&scope.databases, &scope.stores, &scope.hosts, &scope.secrets];
    let mut patterns = lists.into_iter().flatten();
    let is_valid = |pattern: &String| {
        (1..=MAX_PATTERN_BYTES).contains(&pattern.len()) && pattern.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if lists.iter().map(|list| list.len()).sum::<usize>() <= MAX_PATTERNS && patterns.all(is_valid) {
        Ok(())
    } else {
        Err(ManifestError::Scope(capability))
    }
}

/// Returns the first character that can make a text look like another, from the strings and property names of a schema.
/// Strings may contain line breaks and tabs, because descriptions may have several lines.
fn deceptive_character(schema: &Value) -> Option<char> {
    match schema {
        Value::String(text) => {
            text.chars().find(|character| is_deceptive(*character) && !matches!(character, '\n' | '\r' | '\t'))
        }
        Value::Array(items) => items.iter().find_map(deceptive_character),
        Value::Object(fields) => fields.iter().find_map(|(name, field)| {
            name.chars().find(|character| is_deceptive(*character)).or_else(|| deceptive_character(field))
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> Value {
        serde_json::json!({
            "name": "hello", "version": "1.0.0", "serial": 1, "publisher": "Someone", "description": "Says hello.",
            "jobs": [{"name": "greet", "description": "Greets.", "paramsSchema": {"type": "object"}}],
            "capabilities": [{"capability": "http", "reason": "To greet.", "scope": {"hosts": ["example.com"]}}],
        })
    }

    #[test]
    fn invalid_fields_are_rejected() {
        let check = |change: fn(&mut Value), expected: Option<&str>| {
            let mut manifest = valid();
            change(&mut manifest);
            let error = Manifest::from_json(manifest.to_string().as_bytes()).err().map(|error| error.to_string());
            match expected {
                None => assert_eq!(error, None),
                Some(part) => assert!(error.as_deref().is_some_and(|error| error.contains(part)), "{error:?}"),
            }
        };
        check(|_| {}, None);
        check(|m| m["name"] = "../x".into(), Some("invalid name"));
        check(|m| m["name"] = "Hello".into(), Some("invalid name"));
        check(|m| m["serial"] = 0.into(), Some("serial"));
        check(|m| m["publisher"] = " ".into(), Some("publisher"));
        check(|m| m["jobs"] = serde_json::json!([]), Some("1 to 50 jobs"));
        check(|m| m["jobs"][0]["paramsSchema"] = true.into(), Some("parameter schema"));
        check(|m| m["capabilities"][0]["capability"] = "shell".into(), Some("can't be read"));
        check(|m| m["limits"] = serde_json::json!({"memoryMib": 5000}), Some("memoryMib"));
        check(|m| m["limits"] = serde_json::json!({"logKib": 4097}), Some("logKib"));
        check(|m| m["more"] = 1.into(), Some("unknown field"));
        for scope in [vec![""], vec!["a b"], vec!["ex\u{430}mple.com"], vec!["a"; 101]] {
            let mut manifest = valid();
            manifest["capabilities"][0]["scope"]["hosts"] = scope.into();
            let error = Manifest::from_json(manifest.to_string().as_bytes()).unwrap_err();
            assert_eq!(error, ManifestError::Scope(Capability::Http));
        }
    }

    #[test]
    fn deceptive_characters_are_rejected_in_every_text() {
        let texts = ["/version", "/publisher", "/description", "/jobs/0/description", "/capabilities/0/reason"];
        for pointer in texts {
            for character in ['\n', '\0', '\u{1b}', '\u{7f}', '\u{85}', '\u{202e}', '\u{2066}', '\u{200f}', '\u{feff}']
            {
                let mut manifest = valid();
                *manifest.pointer_mut(pointer).unwrap() = format!("a{character}b").into();
                let error = Manifest::from_json(manifest.to_string().as_bytes()).unwrap_err();
                let found = match error {
                    ManifestError::Character(_, found) => found,
                    error => panic!("{pointer}: {error}"),
                };
                assert_eq!(found, u32::from(character), "{pointer}");
            }
            let mut manifest = valid();
            *manifest.pointer_mut(pointer).unwrap() = "Grüße, 你好, مرحبا \u{1f468}\u{200d}\u{1f469}".into();
            Manifest::from_json(manifest.to_string().as_bytes()).unwrap();
        }
        let check = |schema: Value, valid_schema: bool| {
            let mut manifest = valid();
            manifest["jobs"][0]["paramsSchema"] = schema;
            assert_eq!(Manifest::from_json(manifest.to_string().as_bytes()).is_ok(), valid_schema, "{manifest}");
        };
        check(serde_json::json!({"type": "object", "description": "Two\nlines."}), true);
        check(serde_json::json!({"type": "object", "title": "a\u{202e}b"}), false);
        check(serde_json::json!({"type": "object", "properties": {"a\u{200b}": {}}}), false);
        check(serde_json::json!({"type": "object", "examples": [["\u{7}"]]}), false);
    }
}
