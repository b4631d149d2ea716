//! `cargo xtask dev`: builds and starts the server from a fresh clone.

use anyhow::{Result, bail};

use crate::{
    dashboard, forwarded_arguments,
    plugin::first_party,
    process,
    setup::{self, Tool},
    wasm32::Optimization,
    watch,
};

/// Builds the server and replaces this process with it, so that Ctrl-C and `kill` reach it directly.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (is_watching, arguments) = match arguments.split_first() {
        Some((flag, rest)) if flag == "--watch" => (true, rest),
        _ => (false, arguments),
    };
    let arguments = forwarded_arguments(arguments)?;
    if is_watching && !cfg!(unix) {
        bail!("`--watch` needs Linux or macOS.");
    }
    setup::ensure(&[Tool::CCompiler, Tool::LibClang, Tool::PostgresServer])?;
    first_party::ensure()?;
    dashboard::ensure(Optimization::Fast)?;
    process::run(process::cargo().args(["build", "--package", "atlashub"]))?;
    let mut server = process::cargo();
    server.args(["run", "--quiet", "--package", "atlashub", "--", "serve"]).args(arguments);
    if is_watching {
        server.env("ATLASHUB_DASHBOARD_DIR", dashboard::files_folder());
        watch::start()?;
    }
    process::exec(&mut server)
}
