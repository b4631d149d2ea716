//! `cargo xtask dev`: from a fresh clone to a running server.

use anyhow::Result;

use crate::{
    plugin::first_party,
    process,
    setup::{self, Tool},
};

/// Sets up, builds, and turns into the server, so that Ctrl-C and `kill` reach it directly.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    setup::ensure(&[Tool::CCompiler, Tool::LibClang, Tool::PostgresServer])?;
    first_party::ensure()?;
    process::run(process::cargo().args(["build", "--package", "atlashub"]))?;
    let mut server = process::cargo();
    server.args(["run", "--quiet", "--package", "atlashub", "--", "serve"]).args(arguments);
    process::become_it(&mut server)
}
