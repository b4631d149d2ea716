//! Formatting, lints, licences and advisories.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{
    process,
    setup::{self, Tool},
};

pub(crate) fn run() -> Result<()> {
    source()?;
    dependencies()
}

/// Formatting and clippy, every warning an error.
pub(crate) fn source() -> Result<()> {
    setup::ensure(&[Tool::RustLints, Tool::CCompiler, Tool::LibClang])?;
    process::run(process::cargo().args(["fmt", "--all", "--check"])).context("run `cargo fmt --all`")?;
    process::run(process::cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

/// Licences, bans and advisories, as far as the tools for it are installed and their database is reached.
pub(crate) fn dependencies() -> Result<()> {
    if process::find("cargo-deny").is_some() {
        process::run(process::cargo().args(["deny", "check", "bans", "licenses", "sources"]))?;
        advisories("cargo deny check advisories", process::cargo().args(["deny", "check", "advisories"]))?;
    } else {
        skip("cargo deny", "it is not installed (`cargo install cargo-deny` gets it)");
    }
    if process::find("cargo-audit").is_some() {
        advisories("cargo audit", process::cargo().arg("audit"))
    } else {
        skip("cargo audit", "it is not installed (`cargo install cargo-audit` gets it)");
        Ok(())
    }
}

/// A check that needs the advisory database, which not every machine can reach.
fn advisories(name: &str, command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("can't start `{name}`"))?;
    if output.status.success() {
        eprintln!("xtask: {name}: no advisory");
        return Ok(());
    }
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let unreachable =
        ["failed to fetch", "couldn't fetch", "error loading advisory database", "failed to load advisory"];
    if unreachable.iter().any(|sign| text.contains(sign)) {
        skip(name, "its advisory database can't be reached from here");
        return Ok(());
    }
    eprint!("{text}");
    bail!("`{name}` found something: update the dependency, or note in deny.toml why it does not concern us");
}

fn skip(name: &str, reason: &str) {
    eprintln!("xtask: {name} skipped: {reason}");
}
