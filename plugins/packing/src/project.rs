//! New plugins: a project that builds with pinned tools from public registries.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{Language, PackError};

/// Name and text of a file of a project. `{name}` and other words in braces are replaced, except in the source.
type Template = (&'static str, &'static str);

const MANIFEST: Template = ("manifest.json", include_str!("../templates/manifest.json"));
const README: Template = ("README.md", include_str!("../templates/README.md"));
const BUILD: &str = "build.sh";

/// The contents of the projects of a language.
struct Project {
    /// Display name of the language.
    title: &'static str,
    /// Requirements of `build.sh`.
    needs: &'static str,
    source: Template,
    /// The file that names the tools and their versions.
    tools: Template,
    build: &'static str,
}

impl Project {
    /// Returns the project of a language, or `None` if the language only has bindings.
    fn of(language: Language) -> Option<Self> {
        Some(match language {
            Language::Rust => Self {
                title: "Rust",
                needs: "Rust with the target `wasm32-unknown-unknown` (`rustup target add wasm32-unknown-unknown`)",
                source: ("src/lib.rs", include_str!("../templates/rust/src/lib.rs.txt")),
                tools: ("Cargo.toml", include_str!("../templates/rust/Cargo.toml.txt")),
                build: include_str!("../templates/rust/build.sh"),
            },
            Language::C => Self {
                title: "C",
                needs: "Python 3, with which it installs the compiler",
                source: ("main.c", include_str!("../templates/c/main.c")),
                tools: ("requirements.txt", include_str!("../../examples/c/requirements.txt")),
                build: include_str!("../templates/c/build.sh"),
            },
            Language::Python => Self {
                title: "Python",
                needs: "Python 3.10 or newer",
                source: ("main.py", include_str!("../templates/python/main.py")),
                tools: ("requirements.txt", include_str!("../../examples/python/requirements.txt")),
                build: include_str!("../templates/python/build.sh"),
            },
            Language::JavaScript => Self {
                title: "JavaScript",
                needs: "Node.js 18 or newer",
                source: ("main.js", include_str!("../templates/javascript/main.js")),
                tools: ("package.json", include_str!("../templates/javascript/package.json.txt")),
                build: include_str!("../templates/javascript/build.sh"),
            },
            Language::Plain => return None,
        })
    }

    fn files(&self, name: &str) -> Vec<(&'static str, String)> {
        let library = name.replace('-', "_");
        let fill = |text: &str| {
            [
                ("{name}", name),
                ("{library}", &library),
                ("{language}", self.title),
                ("{source}", self.source.0),
                ("{tools}", self.tools.0),
                ("{needs}", self.needs),
            ]
            .iter()
            .fold(text.to_owned(), |text, (word, value)| text.replace(word, value))
        };
        let templates = [MANIFEST, README, self.tools, (BUILD, self.build), (".gitignore", "/build\n")];
        let filled = templates.into_iter().map(|(file, text)| (file, fill(text)));
        filled.chain([(self.source.0, self.source.1.to_owned())]).collect()
    }
}

/// Creates the folder `parent/name` with a plugin of one job, and returns its path.
///
/// # Errors
/// Fails if the name is invalid, the language has no project template, or the folder exists or can't be written.
pub fn create_project(language: Language, name: &str, parent: &Path) -> Result<PathBuf, PackError> {
    let is_valid = (2..=40).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_valid {
        return Err(PackError::Name(name.to_owned()));
    }
    let project = Project::of(language).ok_or(PackError::NoProject)?;
    let folder = parent.join(name);
    let unwritable = |error: io::Error| PackError::Unwritable { folder: folder.clone(), error };
    fs::create_dir_all(parent).map_err(unwritable)?;
    fs::create_dir(&folder).map_err(unwritable)?;
    for (file, text) in project.files(name) {
        let path = folder.join(file);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(unwritable)?;
        }
        fs::write(&path, text).map_err(unwritable)?;
    }
    make_executable(&folder.join(BUILD)).map_err(unwritable)?;
    Ok(folder)
}

#[cfg(unix)]
fn make_executable(file: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use plugin_manifest::Manifest;

    use super::*;

    #[test]
    fn every_project_is_complete_and_has_its_name() {
        for language in [Language::Rust, Language::C, Language::Python, Language::JavaScript] {
            let project = Project::of(language).unwrap();
            let files = project.files("my-plugin");
            for (file, text) in files.iter().filter(|(file, _)| *file != project.source.0) {
                for word in ["{name}", "{library}", "{language}", "{source}", "{tools}", "{needs}"] {
                    assert!(!text.contains(word), "{language:?}: {file}: {word}");
                }
            }
            let text = |name: &str| files.iter().find(|(file, _)| *file == name).unwrap().1.as_str();
            assert_eq!(Manifest::from_json(text("manifest.json").as_bytes()).unwrap().name, "my-plugin");
            assert!(text("build.sh").contains("--output build/my-plugin.wasm"));
        }
    }
}
