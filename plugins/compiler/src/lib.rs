//! Compiles plugins in a separate process.
//!
//! Compiling needs a hundred MiB or more that the allocator is slow to return, and exposes a large attack surface to
//! the author of the file. So the server starts its own executable again for each file. The child process reads the
//! component from standard input, writes machine code to standard output, and exits. It has no configuration and no
//! secrets, and its time and memory are limited.
//!
//! There is no cache: machine code is never read from a file.
//!
//! Reading order: this file (the server's side) and [`program`] (the child process).

mod program;

use std::{
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Output, Stdio},
    sync::Arc,
    time::Duration,
};

use nix::sys::signal::Signal;
use tokio::{io::AsyncWriteExt as _, process::Command};
use wasmtime::{Config, Engine, Precompiled, component::Component};

pub use program::{MAX_CPU_SECONDS, SUBCOMMAND, compile_stdin};

/// Allocator setting of the child process. The allocator reserves 1 GiB at its first use. With this setting, memory
/// counts against the process's limit only once it is used.
const ALLOCATOR_SETTINGS: (&str, &str) = ("MIMALLOC_ARENA_EAGER_COMMIT", "0");

/// Maximum duration of a compilation.
const COMPILE_TIMEOUT: Duration = Duration::from_secs(300);

/// The process that compiles components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiler {
    /// This process, for short-lived programs.
    Here,
    /// A child process with this executable, which must call [`compile_stdin`] if its arguments are [`SUBCOMMAND`] and
    /// the memory limit in MiB.
    Program(PathBuf),
}

/// The reason why a component could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The file is not a valid component. The text is for the author of the component.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// Compiling took too long.
    #[error("compiling it needs more than {} s", COMPILE_TIMEOUT.as_secs())]
    TooLong,
    /// Compiling needed more memory than this number of MiB.
    #[error("compiling it needs more than {0} MiB of memory")]
    TooMuchMemory(u32),
    /// The system killed the child process.
    #[error("the system stopped its compilation, probably because the machine or the container ran out of memory")]
    Killed,
    /// The child process failed. Contains the cause.
    #[error("the compiler process failed; the server's log has the cause")]
    Process(String),
}

/// Returns the wasmtime configuration for compiling. The engine that runs the code must be based on it too.
pub fn configuration() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        // The SDK logs panics with more detail, and backtraces cost memory for each plugin.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        // Components of several linked modules, such as JavaScript engines, have more than one memory.
        .wasm_multi_memory(true);
    config
}

impl Compiler {
    /// Compiles a component for an engine that is based on [`configuration`]. A child process may use `memory_mib` MiB
    /// of memory. Check the signature of the bytes first.
    ///
    /// # Errors
    /// Returns an error if the bytes are not a valid component, or if the child process can't be started, fails or
    /// exceeds a limit.
    pub async fn compile(
        &self,
        engine: &Engine,
        component: Arc<[u8]>,
        memory_mib: u32,
    ) -> Result<Component, CompileError> {
        let engine = engine.clone();
        match self {
            Self::Here => tokio::task::spawn_blocking(move || {
                Component::new(&engine, &component).map_err(|error| CompileError::Invalid(format!("{error:#}")))
            }),
            Self::Program(program) => {
                let code = run_compiler(program.clone(), &component, memory_mib).await?;
                tokio::task::spawn_blocking(move || load(&engine, &code))
            }
        }
        .await
        .map_err(|error| CompileError::Process(error.to_string()))?
    }
}

/// Starts the compiler process on a component and returns the machine code. Dropping the future kills the process.
async fn run_compiler(program: PathBuf, component: &[u8], memory_mib: u32) -> Result<Vec<u8>, CompileError> {
    let failed = |error: std::io::Error| CompileError::Process(format!("{}: {error}", program.display()));
    let mut child = Command::new(&program)
        .arg(SUBCOMMAND)
        .arg(memory_mib.to_string())
        .env_clear()
        .env(ALLOCATOR_SETTINGS.0, ALLOCATOR_SETTINGS.1)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C in a terminal must only reach the server.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let stdin = child.stdin.take();
    let write = async {
        // If the process exits early, its exit code says why.
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(component).await;
        }
    };
    let exit = async { tokio::join!(write, child.wait_with_output()).1 };
    let output =
        tokio::time::timeout(COMPILE_TIMEOUT, exit).await.map_err(|_| CompileError::TooLong)?.map_err(failed)?;
    read_output(output, memory_mib)
}

fn read_output(output: Output, memory_mib: u32) -> Result<Vec<u8>, CompileError> {
    let message = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let signal = output.status.signal().and_then(|signal| Signal::try_from(signal).ok());
    match (output.status.code(), signal) {
        (Some(0), _) => Ok(output.stdout),
        (Some(program::EXIT_INVALID), _) => Err(CompileError::Invalid(message())),
        (_, Some(Signal::SIGXCPU)) => Err(CompileError::TooLong),
        (Some(program::EXIT_TOO_MUCH_MEMORY), _) => Err(CompileError::TooMuchMemory(memory_mib)),
        // The standard library aborts with this message when an allocation fails.
        (_, Some(Signal::SIGABRT)) if message().contains("memory allocation of") => {
            Err(CompileError::TooMuchMemory(memory_mib))
        }
        (_, Some(Signal::SIGKILL)) => Err(CompileError::Killed),
        _ => Err(CompileError::Process(format!("{}: {}", output.status, message()))),
    }
}

fn load(engine: &Engine, code: &[u8]) -> Result<Component, CompileError> {
    // SAFETY: the bytes came through a pipe from a process that this process started from its own executable, and were
    // never in a file. An attacker who could change them could also change this process.
    #[expect(unsafe_code, reason = "machine code cannot be validated, only its origin")]
    let component = unsafe { Component::deserialize(engine, code) };
    component.map_err(|error| match Engine::detect_precompiled(code) {
        // The code is from the same version of wasmtime, so the component exceeds a limit of the engine, which no run
        // may exceed.
        Some(Precompiled::Component) => CompileError::Invalid(format!("{error:#}")),
        _ => CompileError::Process(format!("{error:#}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn file_that_is_not_a_component_is_invalid() {
        let engine = Engine::new(&configuration()).unwrap();
        let error = Compiler::Here.compile(&engine, Arc::from(*b"\0asm"), 256).await.unwrap_err();
        assert!(matches!(&error, CompileError::Invalid(_)), "{error}");
    }

    #[tokio::test]
    async fn missing_or_failing_compiler_program_is_a_process_error() {
        let engine = Engine::new(&configuration()).unwrap();
        for program in ["/nonexistent/program", "/bin/false"] {
            let error = Compiler::Program(program.into()).compile(&engine, Arc::from(*b"x"), 256).await.unwrap_err();
            assert!(matches!(&error, CompileError::Process(_)), "{program}: {error}");
        }
        // The output of `echo` is not machine code.
        let error = Compiler::Program("/bin/echo".into()).compile(&engine, Arc::from(*b"x"), 256).await.unwrap_err();
        assert!(matches!(&error, CompileError::Process(_)), "{error}");
    }
}
