//! Writes the bindings of the interfaces for other languages.

use std::{path::Path, str::FromStr};

use plugin_manifest::Manifest;
use wit_bindgen_c::Opts;
use wit_bindgen_core::{AsyncFilterSet, Files};
use wit_component::WitPrinter;

use crate::{PackError, plain, wit};

/// A language, or a form of the interfaces, with bindings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// A header, a source file, and an object file that describes the interfaces to [`pack`](crate::pack).
    C,
    /// The interfaces, from which componentize-qjs creates the modules. Their imported functions are plain, because
    /// componentize-qjs can't import asynchronous ones.
    JavaScript,
    /// The plain form of the interfaces, for toolchains without asynchronous functions.
    Plain,
    /// The interfaces, from which componentize-py creates the modules.
    Python,
    /// The interfaces, from which the macro of the crate `wit-bindgen` creates the modules.
    Rust,
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "c" => Ok(Self::C),
            "javascript" => Ok(Self::JavaScript),
            "plain" => Ok(Self::Plain),
            "python" => Ok(Self::Python),
            "rust" => Ok(Self::Rust),
            other => Err(format!("unknown language `{other}`; use rust, c, python, javascript or plain")),
        }
    }
}

/// Returns the names and contents of the files of a language's bindings, for a plugin with this manifest.
///
/// They contain the interfaces that need no grant and those that the manifest requests. Some compilers import every
/// interface of the bindings, and a plugin must not import an interface that its manifest does not request.
///
/// # Errors
/// Fails if the interfaces in this program can't be read.
fn bindings(language: Language, manifest: &Manifest) -> Result<Vec<(String, Vec<u8>)>, PackError> {
    let failed = |error| PackError::Interfaces(format!("{error:#}"));
    let requested = |capability| manifest.capabilities.iter().any(|request| request.capability == capability);
    let (mut resolve, world) = wit::resolve_requested(requested)?;
    if matches!(language, Language::JavaScript | Language::Plain) {
        plain::make_imports_plain(&mut resolve);
    }
    if language == Language::Plain {
        plain::make_exports_plain(&mut resolve);
    }
    if language != Language::C {
        let package = resolve.worlds[world].package.ok_or_else(|| PackError::Interfaces("no package".to_owned()))?;
        let mut printer = WitPrinter::default();
        printer.print(&resolve, package, &[]).map_err(failed)?;
        return Ok(vec![("plugin.wit".to_owned(), printer.output.to_string().into_bytes())]);
    }
    // Calls are synchronous. While a call waits, the host suspends the stack of the run.
    let options = Opts { async_: AsyncFilterSet::all(false), ..Opts::default() };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files).map_err(failed)?;
    Ok(files.iter().map(|(name, content)| (name.to_owned(), content.to_vec())).collect())
}

/// Writes the bindings of a language for a plugin with this manifest to a folder, which is created if necessary.
///
/// # Errors
/// Fails if the manifest is invalid, the interfaces in this program can't be read, or a file can't be written.
pub fn write_bindings(language: Language, manifest: &[u8], folder: &Path) -> Result<(), PackError> {
    let files = bindings(language, &Manifest::from_json(manifest)?)?;
    let unwritable = |error: std::io::Error| PackError::Unwritable { folder: folder.to_path_buf(), error };
    std::fs::create_dir_all(folder).map_err(unwritable)?;
    for (name, content) in files {
        std::fs::write(folder.join(name), content).map_err(unwritable)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(capabilities: &str) -> Manifest {
        let json = format!(
            r#"{{"name":"hello","version":"1.0.0","serial":1,"publisher":"Someone","description":"Says hello.",
            "jobs":[{{"name":"greet","description":"Greets.","paramsSchema":{{"type":"object"}}}}],
            "capabilities":[{capabilities}]}}"#
        );
        Manifest::from_json(json.as_bytes()).unwrap()
    }

    fn text(language: Language, capabilities: &str, name: &str) -> String {
        let files = bindings(language, &manifest(capabilities)).unwrap();
        let (_, content) = files.into_iter().find(|(file, _)| file == name).unwrap();
        String::from_utf8(content).unwrap()
    }

    const HTTP: &str = r#"{"capability":"http","reason":"To greet."}"#;
    const SECRETS: &str = r#"{"capability":"secrets","reason":"To greet."}"#;

    #[test]
    fn c_header_declares_the_job_and_requested_calls() {
        let header = text(Language::C, HTTP, "plugin.h");
        for declaration in ["bool exports_atlashub_plugin_job_run(", "extern bool atlashub_plugin_http_send("] {
            assert!(header.contains(declaration), "{declaration}");
        }
        assert!(!header.contains("atlashub_plugin_databases_dump"));
        let files = bindings(Language::C, &manifest(HTTP)).unwrap();
        assert!(files.iter().any(|(name, _)| name == "plugin_component_type.o"));
    }

    #[test]
    fn python_world_imports_requested_interfaces_and_types_that_they_use() {
        let wit = text(Language::Python, HTTP, "plugin.wit");
        let world = &wit[wit.find("world plugin").unwrap()..];
        assert!(world.contains("import http;") && world.contains("import log;"), "{world}");
        assert!(!world.contains("import databases;"), "{world}");
        // `http` uses the resource `secret`, but not the function that opens one.
        assert!(wit.contains("resource secret;") && !wit.contains("open: func"), "{wit}");
        let wit = text(Language::Python, &format!("{HTTP},{SECRETS}"), "plugin.wit");
        assert!(wit.contains("open: func"), "{wit}");
    }

    #[test]
    fn plain_forms_have_no_asynchronous_imports() {
        let javascript = text(Language::JavaScript, HTTP, "plugin.wit");
        assert_eq!(javascript.matches("async func").count(), 1, "{javascript}");
        assert!(javascript.contains("run: async func(context: run-context"), "{javascript}");
        let plain = text(Language::Plain, HTTP, "plugin.wit");
        assert!(!plain.contains("async") && plain.contains("send: func(request: request)"), "{plain}");
        assert_eq!(plain, text(Language::Python, HTTP, "plugin.wit").replace("async func", "func"));
    }
}
