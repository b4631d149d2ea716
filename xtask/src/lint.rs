//! Checks of formatting, lints, licenses and advisories.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{
    dashboard, process,
    setup::{self, Tool},
};

pub(crate) fn run() -> Result<()> {
    check_source()?;
    check_dependencies()
}

/// Checks formatting and clippy lints. Every warning is an error.
pub(crate) fn check_source() -> Result<()> {
    setup::ensure(&[Tool::RustLints, Tool::CCompiler, Tool::LibClang])?;
    process::run(process::cargo().args(["fmt", "--all", "--check"])).context("Run `cargo fmt --all`.")?;
    process::run(process::cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    dashboard::lint()
}

/// Checks licenses, bans, sources and advisories of dependencies. Skips checks whose tool is not installed or whose
/// database is unreachable.
pub(crate) fn check_dependencies() -> Result<()> {
    if process::find_program("cargo-deny").is_some() {
        process::run(process::cargo().args(["deny", "check", "bans", "licenses", "sources"]))?;
        check_advisories("cargo deny check advisories", process::cargo().args(["deny", "check", "advisories"]))?;
    } else {
        log_skipped("cargo deny", "not installed; install it with `cargo install cargo-deny`");
    }
    if process::find_program("cargo-audit").is_some() {
        check_advisories("cargo audit", process::cargo().arg("audit"))
    } else {
        log_skipped("cargo audit", "not installed; install it with `cargo install cargo-audit`");
        Ok(())
    }
}

/// Runs a check that needs the advisory database. If this machine cannot reach the database, the check counts as
/// skipped.
fn check_advisories(name: &str, command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("could not start `{name}`"))?;
    if output.status.success() {
        eprintln!("xtask: {name}: no advisories");
        return Ok(());
    }
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let unreachable_messages =
        ["failed to fetch", "couldn't fetch", "error loading advisory database", "failed to load advisory"];
    if unreachable_messages.iter().any(|message| text.contains(message)) {
        log_skipped(name, "the advisory database is unreachable");
        return Ok(());
    }
    eprint!("{text}");
    bail!(
        "`{name}` failed. If it lists an advisory, update the dependency, or add an exception with a reason: for \
         `cargo deny` to deny.toml, for `cargo audit` to .cargo/audit.toml."
    );
}

fn log_skipped(name: &str, reason: &str) {
    eprintln!("xtask: skipped {name}: {reason}");
}
