//! The child process that compiles one component.

use std::{
    io::{Read as _, Write as _},
    process::ExitCode,
};

use nix::sys::resource::{Resource, setrlimit};
use wasmtime::Engine;

use crate::configuration;

/// The hidden subcommand that starts the compiler process.
pub const SUBCOMMAND: &str = "compile-plugin";

/// Exit code for bytes that are not a valid component. The reason is on standard error.
pub(crate) const EXIT_INVALID: i32 = 3;

/// Maximum address space of the process. The allocator reserves one GiB at its first use.
pub const MAX_ADDRESS_SPACE_BYTES: u64 = 2 << 30;

/// Maximum processor time of all threads of the process together, in seconds.
pub const MAX_CPU_SECONDS: u64 = 300;

/// Compiles the component on standard input and writes the machine code to standard output.
///
/// The process is killed by a signal if it exceeds [`MAX_ADDRESS_SPACE_BYTES`] or [`MAX_CPU_SECONDS`].
///
/// Exit codes: 0 for success, 3 if the input is not a valid component, 1 for other failures.
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
    // The limits must be set before untrusted input is read.
    setrlimit(Resource::RLIMIT_AS, MAX_ADDRESS_SPACE_BYTES, MAX_ADDRESS_SPACE_BYTES)?;
    setrlimit(Resource::RLIMIT_CPU, MAX_CPU_SECONDS, MAX_CPU_SECONDS)?;
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
            Ok(ExitCode::from(EXIT_INVALID as u8))
        }
    }
}
