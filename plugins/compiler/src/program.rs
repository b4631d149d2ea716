//! The process that compiles one component.

use std::{
    io::{Read as _, Write as _},
    process::ExitCode,
};

use wasmtime::Engine;

use crate::configuration;

/// The hidden subcommand of the program.
pub const SUBCOMMAND: &str = "compile-plugin";

/// Exit code for bytes that are no valid component; the reason is on standard error.
pub(crate) const INVALID: i32 = 3;

/// Reads a component from standard input to its end, and writes its machine code to standard output.
///
/// Exit codes: 0 done; 3 no valid component; 1 all else.
pub fn compile_stdin() -> ExitCode {
    match compile() {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn compile() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut component = Vec::new();
    std::io::stdin().read_to_end(&mut component)?;
    let engine = Engine::new(&configuration())?;
    match engine.precompile_component(&component) {
        Ok(code) => {
            std::io::stdout().write_all(&code)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            writeln!(std::io::stderr(), "{error:#}")?;
            Ok(ExitCode::from(INVALID as u8))
        }
    }
}
