//! Starting other programs, and the paths of the workspace.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// Returns a command for the cargo that started this program, in the folder of the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}

/// Returns the folder of the top-level `Cargo.toml`.
pub(crate) fn workspace() -> PathBuf {
    // Read at run time, because clones that share a target folder share this program too.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().map_or_else(|| ".".into(), Path::to_path_buf)
}

/// Returns the target folder of cargo.
pub(crate) fn target_folder() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from) {
        Some(folder) => std::path::absolute(&folder).unwrap_or(folder),
        None => workspace().join("target"),
    }
}

/// Prints and runs a command with this program's own input and output.
///
/// # Errors
/// Fails if the command cannot be started or exits with an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = command_line(command);
    eprintln!("xtask: {line}");
    let status = command.status().with_context(|| format!("could not start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status}).");
    }
    Ok(())
}

/// Returns whether a command can be started and succeeds. Its output is discarded.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// Replaces this process with a command, so that signals reach it directly and its exit code is passed on.
#[cfg(unix)]
pub(crate) fn exec(command: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let line = command_line(command);
    eprintln!("xtask: {line}");
    let error = command.exec();
    Err(error).with_context(|| format!("could not start `{line}`"))
}

/// Runs a command and waits for it, because only Unix can replace a process. On Windows, the console sends Ctrl-C to
/// both processes.
#[cfg(not(unix))]
pub(crate) fn exec(command: &mut Command) -> Result<()> {
    run(command)
}

/// Finds a program in the folders of `PATH`.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    find_file(&format!("{program}{}", std::env::consts::EXE_SUFFIX))
}

/// Finds a file in the folders of `PATH` by its full name.
pub(crate) fn find_file(file_name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(file_name)).find(|file| file.is_file())
}

fn command_line(command: &Command) -> String {
    // The name of the program without its folder is enough for a reader.
    let program = Path::new(command.get_program()).file_stem().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
