//! The child process that compiles one component.

use std::{
    io::{Read as _, Write as _},
    process::ExitCode,
};

use nix::sys::resource::{Resource, setrlimit};
use wasmtime::Engine;

use crate::configuration;

/// The hidden subcommand of the compiler process.
pub const SUBCOMMAND: &str = "compile-plugin";

/// Exit code for bytes that are not a valid component. The reason is on standard error.
pub(crate) const EXIT_INVALID: i32 = 3;
/// Exit code if a memory mapping was refused.
pub(crate) const EXIT_TOO_MUCH_MEMORY: i32 = 4;

/// Address space of the process in addition to the memory that it may use. This space is needed for the executable, and
/// for memory that the allocator reserves but does not use.
const RESERVED_BYTES: u64 = 2 << 30;

/// Maximum processor time of all threads of the process together, in seconds.
pub const MAX_CPU_SECONDS: u64 = 300;

/// Compiles the component on standard input and writes the machine code to standard output.
///
/// Exit codes: 0 for success, 3 if the input is not a valid component, 4 if a memory mapping was refused, 1 for other
/// failures. A signal ends the process if it needs more than [`MAX_CPU_SECONDS`], or if an allocation would exceed
/// `memory_mib` MiB.
pub fn compile_stdin(memory_mib: u32) -> ExitCode {
    match compile(memory_mib) {
        Ok(code) => code,
        Err(error) if is_out_of_memory(error.as_ref()) => ExitCode::from(EXIT_TOO_MUCH_MEMORY as u8),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn compile(memory_mib: u32) -> Result<ExitCode, Box<dyn std::error::Error>> {
    // The limits must be set before untrusted input is read.
    let memory = u64::from(memory_mib) << 20;
    // Writable private mappings: heap, stacks and machine code.
    setrlimit(Resource::RLIMIT_DATA, memory, memory)?;
    setrlimit(Resource::RLIMIT_AS, RESERVED_BYTES + memory, RESERVED_BYTES + memory)?;
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
        Err(error) if error.chain().any(is_out_of_memory) => Ok(ExitCode::from(EXIT_TOO_MUCH_MEMORY as u8)),
        Err(error) => {
            writeln!(std::io::stderr(), "{error:#}")?;
            Ok(ExitCode::from(EXIT_INVALID as u8))
        }
    }
}

/// Returns whether the error is a refused memory mapping.
fn is_out_of_memory(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::OutOfMemory)
}
