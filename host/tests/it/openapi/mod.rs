//! The OpenAPI document and the metrics, as third-party tools read them. `cargo xtask setup` installs the tools.

pub mod answers;
pub mod clients;
pub mod document;
pub mod metrics;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::docs::markdown::workspace_root;

/// Returns the folder with the sources of the clients and the packages of npm.
fn clients_folder() -> PathBuf {
    workspace_root().join("host/tests/clients")
}

/// Returns the cache folder of xtask.
fn cache_folder() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache"))).unwrap().join("atlashub")
}

/// Returns the path of a file that `cargo xtask setup` installs. Panics if the file is missing.
fn installed(file: PathBuf) -> PathBuf {
    assert!(file.is_file(), "{} is missing: run `cargo xtask setup`", file.display());
    file
}

/// Returns a command for a script of an npm package.
fn node(script: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(installed(clients_folder().join(script)));
    command
}

fn write_document(folder: &Path) -> PathBuf {
    let file = folder.join("openapi.json");
    std::fs::write(&file, serde_json::to_vec(&atlashub::router::openapi()).unwrap()).unwrap();
    file
}

/// Runs a command without blocking the runtime, and returns its output. Panics if the command fails.
async fn run(mut command: Command) -> String {
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output = output.expect("the program should be installed (`cargo xtask setup`)");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    text
}
