//! Validates a manifest.

use crate::Manifest;

/// Maximum size of a manifest.
const MAX_MANIFEST_BYTES: usize = 256 << 10;

/// Maximum number of jobs of a plugin.
const MAX_JOBS: usize = 50;

/// The reason why a manifest is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The manifest is too large.
    #[error("the manifest is larger than {} KiB", MAX_MANIFEST_BYTES >> 10)]
    TooLarge,
    /// The manifest is not JSON or does not have the expected fields.
    #[error("the manifest cannot be read: {0}")]
    Json(String),
    /// The name of the plugin or of a job is malformed.
    #[error("invalid name `{0}`: use 2 to 40 lowercase letters, digits and hyphens, starting with a letter")]
    Name(String),
    /// A text is empty or too long. Contains the field and the maximum number of characters.
    #[error("{0} must have 1 to {1} characters")]
    Text(&'static str, usize),
    /// The serial is 0.
    #[error("the serial must be at least 1")]
    Serial,
    /// There are no jobs, or too many.
    #[error("a plugin must have 1 to {MAX_JOBS} jobs")]
    Jobs,
    /// Two jobs have the same name.
    #[error("the job `{0}` is defined twice")]
    DuplicateJob(String),
    /// The schema of a job's parameters is not the schema of an object.
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

    /// Checks that every field is within its limits.
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
        }
        for (index, request) in self.capabilities.iter().enumerate() {
            check_text("the reason of a capability", &request.reason, 300)?;
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
        log_kib: 64 << 10,
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
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> serde_json::Value {
        serde_json::json!({
            "name": "hello", "version": "1.0.0", "serial": 1, "publisher": "Someone", "description": "Says hello.",
            "jobs": [{"name": "greet", "description": "Greets.", "paramsSchema": {"type": "object"}}],
            "capabilities": [{"capability": "http", "reason": "To greet.", "scope": {"hosts": ["example.com"]}}],
        })
    }

    #[test]
    fn invalid_fields_are_rejected() {
        let check = |change: fn(&mut serde_json::Value), expected: Option<&str>| {
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
        check(|m| m["capabilities"][0]["capability"] = "shell".into(), Some("cannot be read"));
        check(|m| m["limits"] = serde_json::json!({"memoryMib": 5000}), Some("memoryMib"));
        check(|m| m["more"] = 1.into(), Some("unknown field"));
    }
}
