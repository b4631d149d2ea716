//! `cargo xtask dev`: builds and starts the server from a fresh clone.

use anyhow::Result;

use crate::{
    dashboard,
    plugin::first_party,
    process,
    setup::{self, Tool},
    wasm32::Optimization,
};

/// Builds the server and replaces this process with it, so that Ctrl-C and `kill` reach it directly.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    setup::ensure(&[Tool::CCompiler, Tool::LibClang, Tool::PostgresServer])?;
    first_party::ensure()?;
    dashboard::ensure(Optimization::Fast)?;
    process::run(process::cargo().args(["build", "--package", "atlashub"]))?;
    let mut server = process::cargo();
    server.args(["run", "--quiet", "--package", "atlashub", "--", "serve"]).args(arguments);
    process::exec(&mut server)
}
