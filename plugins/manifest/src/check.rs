use crate::Manifest;

/// Largest manifest that is read, in bytes.
const MAX_BYTES: usize = 256 << 10;

/// What is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("the manifest is larger than 256 KiB")]
    TooLarge,
    #[error("the manifest can't be read: {0}")]
    Json(String),
    #[error("`{0}` is no name: 2 to 40 lowercase letters, digits and hyphens, beginning with a letter")]
    Name(String),
    #[error("{0} is empty or longer than {1} characters")]
    Text(&'static str, usize),
    #[error("the serial is 0; begin with 1")]
    Serial,
    #[error("there are no jobs, or more than 50")]
    Jobs,
    #[error("job `{0}` is there twice")]
    JobTwice(String),
    #[error("the parameters of job `{0}` have no schema of an object")]
    ParamsSchema(String),
    #[error("capability `{0}` is asked for twice")]
    CapabilityTwice(String),
    #[error("the limit {0} is 0 or above {1}")]
    Limit(&'static str, u32),
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// What is wrong, in words for the plugin's author.
    pub fn from_json(json: &[u8]) -> Result<Self, ManifestError> {
        if json.len() > MAX_BYTES {
            return Err(ManifestError::TooLarge);
        }
        let manifest: Self = serde_json::from_slice(json).map_err(|error| ManifestError::Json(error.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Whether every field is in its bounds.
    pub fn check(&self) -> Result<(), ManifestError> {
        name(&self.name)?;
        text("version", &self.version, 40)?;
        text("publisher", &self.publisher, 120)?;
        text("description", &self.description, 500)?;
        if self.serial == 0 {
            return Err(ManifestError::Serial);
        }
        if self.jobs.is_empty() || self.jobs.len() > 50 {
            return Err(ManifestError::Jobs);
        }
        for (index, job) in self.jobs.iter().enumerate() {
            name(&job.name)?;
            text("a job's description", &job.description, 500)?;
            if self.jobs[..index].iter().any(|other| other.name == job.name) {
                return Err(ManifestError::JobTwice(job.name.clone()));
            }
            if job.params_schema.get("type").and_then(|kind| kind.as_str()) != Some("object") {
                return Err(ManifestError::ParamsSchema(job.name.clone()));
            }
        }
        for (index, request) in self.capabilities.iter().enumerate() {
            text("a capability's reason", &request.reason, 300)?;
            if self.capabilities[..index].iter().any(|other| other.capability == request.capability) {
                return Err(ManifestError::CapabilityTwice(request.capability.to_string()));
            }
        }
        self.limits.check()
    }
}

impl crate::Limits {
    /// Most that any manifest may ask for.
    pub const MAX: Self = Self {
        memory_mib: 1024,
        wall_seconds: 24 * 3600,
        cpu_seconds: 3600,
        host_call_mib: 4096,
        log_kib: 64 << 10,
        concurrent_runs: 64,
    };

    fn check(&self) -> Result<(), ManifestError> {
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

fn name(name: &str) -> Result<(), ManifestError> {
    let fits = (2..=40).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if fits { Ok(()) } else { Err(ManifestError::Name(name.chars().take(60).collect())) }
}

fn text(what: &'static str, text: &str, max: usize) -> Result<(), ManifestError> {
    if text.trim().is_empty() || text.chars().count() > max {
        return Err(ManifestError::Text(what, max));
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
    fn a_manifest_is_checked_field_by_field() {
        let check = |change: fn(&mut serde_json::Value), expected: Option<&str>| {
            let mut manifest = valid();
            change(&mut manifest);
            let found = Manifest::from_json(manifest.to_string().as_bytes()).err().map(|error| error.to_string());
            match expected {
                None => assert_eq!(found, None),
                Some(part) => assert!(found.as_deref().is_some_and(|found| found.contains(part)), "{found:?}"),
            }
        };
        check(|_| {}, None);
        check(|m| m["name"] = "../x".into(), Some("is no name"));
        check(|m| m["name"] = "Hello".into(), Some("is no name"));
        check(|m| m["serial"] = 0.into(), Some("serial"));
        check(|m| m["publisher"] = " ".into(), Some("publisher"));
        check(|m| m["jobs"] = serde_json::json!([]), Some("no jobs"));
        check(|m| m["jobs"][0]["paramsSchema"] = true.into(), Some("no schema"));
        check(|m| m["capabilities"][0]["capability"] = "shell".into(), Some("can't be read"));
        check(|m| m["limits"] = serde_json::json!({"memoryMib": 5000}), Some("memoryMib"));
        check(|m| m["more"] = 1.into(), Some("unknown field"));
    }
}
