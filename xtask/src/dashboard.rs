//! Builds the dashboard, which is embedded in the host's binary.
//!
//! The dashboard is compiled to WebAssembly like the plugins. The bundler, a program in its workspace, creates
//! the files that the host serves. `host/build.rs` finds them in the target folder. Nothing is built if these files are
//! up to date.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    cache,
    plugin::first_party::digest_files,
    process,
    setup::{self, Tool},
    wasm32::{Builder, Optimization},
};

/// Files and folders that affect the build.
const INPUTS: &[&str] = &[
    "api-types/Cargo.toml",
    "api-types/src",
    "dashboard-dioxus/Cargo.lock",
    "dashboard-dioxus/Cargo.toml",
    "dashboard-dioxus/bundler/Cargo.toml",
    "dashboard-dioxus/bundler/font.mjs",
    "dashboard-dioxus/bundler/src",
    "dashboard-dioxus/package-lock.json",
    "dashboard-dioxus/src",
    "dashboard-dioxus/style",
    "dashboard-dioxus/web",
    "xtask/src/dashboard.rs",
    "xtask/src/wasm32.rs",
];

/// Builds the dashboard, unless it was already built from the same sources, by the same compiler and with this
/// optimization. An existing small build also counts as a fast one.
pub(crate) fn ensure(optimization: Optimization) -> Result<()> {
    let output = output_folder();
    let stamp_file = output.join("stamp");
    let inputs = inputs();
    let stamp_of = |optimization: Optimization| digest_files(&inputs, &format!("{optimization:?}"));
    if output.join("files/index.html").is_file() {
        let built = fs::read_to_string(&stamp_file).unwrap_or_default();
        if built == stamp_of(optimization)? || built == stamp_of(Optimization::Small)? {
            return Ok(());
        }
    }
    setup::ensure(&[Tool::Node])?;
    setup::install_node_modules("dashboard-dioxus")?;
    eprintln!("xtask: building the dashboard");
    let stamp = stamp_of(optimization)?;
    let module = build_module(&output, optimization)?;
    bundle(&module, &output, optimization)?;
    fs::write(&stamp_file, stamp).with_context(|| format!("could not write {}", stamp_file.display()))
}

/// Returns the files and folders that affect the build.
pub(crate) fn inputs() -> Vec<PathBuf> {
    INPUTS.iter().map(|input| process::workspace().join(input)).collect()
}

/// Returns the folder with the files that the host serves.
pub(crate) fn files_folder() -> PathBuf {
    output_folder().join("files")
}

fn output_folder() -> PathBuf {
    process::target_folder().join("dashboard")
}

/// Returns the folder of the dashboard's workspace.
pub(crate) fn folder() -> PathBuf {
    process::workspace().join("dashboard-dioxus")
}

/// Checks formatting and clippy lints of the dashboard's workspace.
pub(crate) fn lint() -> Result<()> {
    let manifest = folder().join("Cargo.toml");
    process::run(cargo()?.args(["fmt", "--all", "--check", "--manifest-path"]).arg(&manifest))
        .context("Run `cargo fmt --all` in `dashboard-dioxus`.")?;
    let mut clippy = cargo()?;
    clippy.args(["clippy", "--workspace", "--all-targets", "--manifest-path"]).arg(&manifest);
    process::run(clippy.args(["--", "-D", "warnings"]))
}

/// Runs the tests of the dashboard's code that need no browser.
pub(crate) fn run_unit_tests() -> Result<()> {
    let manifest = folder().join("Cargo.toml");
    process::run(cargo()?.args(["test", "--workspace", "--lib", "--bins", "--manifest-path"]).arg(manifest))
}

/// Returns a cargo command for the dashboard's workspace. Its target folder is outside the clone, so that all clones
/// share it.
fn cargo() -> Result<Command> {
    let mut cargo = process::cargo();
    cargo.env("CARGO_TARGET_DIR", cache::folder()?.join("dashboard-bundler"));
    Ok(cargo)
}

fn build_module(output: &Path, optimization: Optimization) -> Result<PathBuf> {
    let builder = Builder::acquire()?;
    process::run(&mut builder.dashboard(&folder().join("Cargo.toml"), optimization)?)?;
    // All clones share the builder's folder, so the module is copied while it is locked.
    let module = output.join("dashboard.wasm");
    fs::create_dir_all(output).with_context(|| format!("could not create {}", output.display()))?;
    fs::copy(builder.module_path("dashboard"), &module).context("could not copy the dashboard's module")?;
    Ok(module)
}

fn bundle(module: &Path, output: &Path, optimization: Optimization) -> Result<()> {
    let mut bundler = cargo()?;
    bundler.args(["run", "--quiet", "--manifest-path"]).arg(folder().join("bundler/Cargo.toml"));
    bundler.arg("--").arg(folder()).arg(module).arg(output);
    process::run(bundler.arg(match optimization {
        Optimization::Fast => "dev",
        Optimization::Small => "release",
    }))
}
