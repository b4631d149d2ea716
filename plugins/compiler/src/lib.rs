//! Compiles plugins in a process of its own.
//!
//! A compiler takes a hundred MiB that an allocator is slow to give back, and is a large surface for whoever wrote
//! the file. So the server starts its own program again for each file: that one reads the component from its standard input, writes machine code to
//! its standard output, and ends. It has no environment, no configuration, and no secrets, and bounded time and memory.
//!
//! Deliberately absent: a cache. Machine code is never read from a file.
//!
//! Reading order: this file is the server's side, [`program`] the other process.

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

pub use program::{ADDRESS_SPACE_BYTES, PROCESSOR_SECONDS, SUBCOMMAND, compile_stdin};

/// A file that takes longer was made to.
const LONGEST: Duration = Duration::from_secs(120);

/// Where components are compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiler {
    /// In this process, for programs that end soon.
    Here,
    /// By this program, which calls [`compile_stdin`] when its only argument is [`SUBCOMMAND`].
    Program(PathBuf),
}

/// Why there is no machine code.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// In words for the author of the component.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    #[error("compiling took more than {} s, or {PROCESSOR_SECONDS} s of processor time, and was ended", LONGEST.as_secs())]
    TooLong,
    #[error("compiling took more than {} MiB of address space and was ended", ADDRESS_SPACE_BYTES >> 20)]
    TooMuchMemory,
    /// The cause belongs into the log.
    #[error("the process that compiles plugins failed; the server's log has the cause")]
    Process(String),
}

/// What compiles and what runs must agree on.
pub fn configuration() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        // The panic hook of the SDK tells more, and a backtrace costs memory for each plugin.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false);
    config
}

impl Compiler {
    /// Compiles a component for an engine of [`configuration`]. Call it only for bytes whose signature was checked.
    ///
    /// # Errors
    /// What keeps the bytes from being a component, and a process that could not do its work.
    pub async fn compile(&self, engine: &Engine, component: Arc<[u8]>) -> Result<Component, CompileError> {
        let engine = engine.clone();
        match self {
            Self::Here => blocking(move || {
                Component::new(&engine, &component).map_err(|error| CompileError::Invalid(format!("{error:#}")))
            }),
            Self::Program(program) => {
                let code = compile_in(program.clone(), &component).await?;
                blocking(move || load(&engine, &code))
            }
        }
        .await
        .map_err(|error| CompileError::Process(error.to_string()))?
    }
}

fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> tokio::task::JoinHandle<T> {
    tokio::task::spawn_blocking(work)
}

/// Starts the program on a component and answers the machine code. Dropped on the way, the process is killed.
async fn compile_in(program: PathBuf, component: &[u8]) -> Result<Vec<u8>, CompileError> {
    let failed = |error: std::io::Error| CompileError::Process(format!("{}: {error}", program.display()));
    let mut child = Command::new(&program)
        .arg(SUBCOMMAND)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C in a terminal reaches the server alone.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let stdin = child.stdin.take();
    let written = async {
        // Where the process ended early its exit code says why.
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(component).await;
        }
    };
    let ended = async { tokio::join!(written, child.wait_with_output()).1 };
    let output = tokio::time::timeout(LONGEST, ended).await.map_err(|_| CompileError::TooLong)?.map_err(failed)?;
    answer(output)
}

fn answer(output: Output) -> Result<Vec<u8>, CompileError> {
    let said = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let signal = output.status.signal().and_then(|signal| Signal::try_from(signal).ok());
    match (output.status.code(), signal) {
        (Some(0), _) => Ok(output.stdout),
        (Some(program::INVALID), _) => Err(CompileError::Invalid(said())),
        (_, Some(Signal::SIGXCPU)) => Err(CompileError::TooLong),
        // How the standard library ends a process that gets no memory.
        (_, Some(Signal::SIGABRT)) if said().contains("memory allocation of") => Err(CompileError::TooMuchMemory),
        _ => Err(CompileError::Process(format!("{}: {}", output.status, said()))),
    }
}

fn load(engine: &Engine, code: &[u8]) -> Result<Component, CompileError> {
    // SAFETY: the bytes came through a pipe from a process that we started from our own program, and were in no file.
    // Whoever could change them could as well change this process.
    #[expect(unsafe_code, reason = "machine code can't be checked, only its origin")]
    let component = unsafe { Component::deserialize(engine, code) };
    component.map_err(|error| match Engine::detect_precompiled(code) {
        // From the same program, so that what does not fit is the component itself: larger than any run may be.
        Some(Precompiled::Component) => CompileError::Invalid(format!("{error:#}")),
        _ => CompileError::Process(format!("{error:#}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_component_is_told_in_words() {
        let engine = Engine::new(&configuration()).unwrap();
        let error = Compiler::Here.compile(&engine, Arc::from(*b"\0asm")).await.unwrap_err();
        assert!(matches!(&error, CompileError::Invalid(_)), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_or_fails_is_told() {
        let engine = Engine::new(&configuration()).unwrap();
        for program in ["/nonexistent/program", "/bin/false"] {
            let error = Compiler::Program(program.into()).compile(&engine, Arc::from(*b"x")).await.unwrap_err();
            assert!(matches!(&error, CompileError::Process(_)), "{program}: {error}");
        }
        // What it wrote is no machine code of ours.
        let error = Compiler::Program("/bin/echo".into()).compile(&engine, Arc::from(*b"x")).await.unwrap_err();
        assert!(matches!(&error, CompileError::Process(_)), "{error}");
    }
}
