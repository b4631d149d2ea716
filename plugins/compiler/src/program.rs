//! The process that compiles one component.

use std::{
    io::{Read as _, Write as _},
    process::ExitCode,
};

use nix::sys::resource::{Resource, setrlimit};
use wasmtime::Engine;

use crate::configuration;

/// The hidden subcommand of the program.
pub const SUBCOMMAND: &str = "compile-plugin";

/// Exit code for bytes that are no valid component; the reason is on standard error.
pub(crate) const INVALID: i32 = 3;

/// Address space of the process, in bytes: the allocator reserves one GiB of it in one piece, at first use.
pub const ADDRESS_SPACE_BYTES: u64 = 2 << 30;

/// Processor time of the process, of all its threads together, in seconds.
pub const PROCESSOR_SECONDS: u64 = 300;

/// Reads a component from standard input to its end, and writes its machine code to standard output.
///
/// It takes at most [`ADDRESS_SPACE_BYTES`] and [`PROCESSOR_SECONDS`], and is ended by a signal beyond them.
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
    // Before the first byte of somebody else is read.
    setrlimit(Resource::RLIMIT_AS, ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES)?;
    setrlimit(Resource::RLIMIT_CPU, PROCESSOR_SECONDS, PROCESSOR_SECONDS)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
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
