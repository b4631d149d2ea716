//! Reads the manifest from a component.

use plugin_manifest::{Manifest, ManifestError, SECTION};
use wasmparser::{Encoding, Parser, Payload};

/// The reason why no manifest could be read from a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadManifestError {
    #[error("the file is not a WebAssembly component: {0}")]
    NotAComponent(String),
    #[error("the file is a core WebAssembly module, not a component; turn it into one with `atlashub plugin pack`")]
    CoreModule,
    #[error("the component has no custom section `{SECTION}`; add it with `atlashub plugin pack`")]
    Missing,
    #[error("the component has more than one custom section `{SECTION}`")]
    Duplicate,
    #[error(transparent)]
    Invalid(#[from] ManifestError),
}

/// Reads the manifest from a component's top level. Sections of nested modules and components are ignored.
///
/// # Errors
/// Returns the reason why the file contains no usable manifest. Detects truncated files and files that are not
/// WebAssembly. The compiler checks whether the code is valid.
pub fn read_manifest(component: &[u8]) -> Result<Manifest, ReadManifestError> {
    let mut manifest = None;
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| ReadManifestError::NotAComponent(error.message().to_owned()))? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(ReadManifestError::CoreModule);
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 && section.name() == SECTION => {
                let previous = manifest.replace(section.data());
                if previous.is_some() {
                    return Err(ReadManifestError::Duplicate);
                }
            }
            _ => {}
        }
    }
    Ok(Manifest::from_json(manifest.ok_or(ReadManifestError::Missing)?)?)
}

#[cfg(test)]
mod tests {
    use plugin_manifest::append_section;

    use super::*;

    const JSON: &str = r#"{"name":"hello","version":"1.0.0","serial":1,"publisher":"Someone",
        "description":"Says hello.",
        "jobs":[{"name":"greet","description":"Greets.","paramsSchema":{"type":"object"}}]}"#;

    fn with_manifest(text: &str) -> Vec<u8> {
        append_section(wat::parse_str(text).unwrap(), JSON.as_bytes())
    }

    #[test]
    fn exactly_one_top_level_manifest_is_read() {
        let check = |file: Vec<u8>, expected: Result<&str, ReadManifestError>| {
            let name = read_manifest(&file).map(|manifest| manifest.name);
            assert_eq!(name, expected.map(str::to_owned));
        };
        check(with_manifest("(component)"), Ok("hello"));
        check(with_manifest("(component (component (component)) (core module))"), Ok("hello"));
        check(wat::parse_str("(component)").unwrap(), Err(ReadManifestError::Missing));
        check(append_section(with_manifest("(component)"), JSON.as_bytes()), Err(ReadManifestError::Duplicate));
        check(with_manifest("(module)"), Err(ReadManifestError::CoreModule));
        let inner = r#"(component (core module (@custom "atlashub:manifest" "{}")))"#;
        check(wat::parse_str(inner).unwrap(), Err(ReadManifestError::Missing));
        check(with_manifest(inner), Ok("hello"));
    }

    #[test]
    fn files_that_are_not_components_are_rejected() {
        let whole = with_manifest("(component)");
        for file in [&b""[..], b"\x7fELF and so on", b"\0asm", &whole[..whole.len() - 3]] {
            assert!(matches!(read_manifest(file), Err(ReadManifestError::NotAComponent(_))), "{file:?}");
        }
        let invalid = append_section(wat::parse_str("(component)").unwrap(), b"{}");
        assert!(matches!(read_manifest(&invalid), Err(ReadManifestError::Invalid(_))));
    }
}
