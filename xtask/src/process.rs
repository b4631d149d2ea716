//! Starting other programs.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// The cargo that started this program.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}

/// The folder of the top `Cargo.toml`.
pub(crate) fn workspace() -> PathBuf {
    // As cargo says it now: clones that share a target folder share this program, too.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().map_or_else(|| ".".into(), Path::to_path_buf)
}

/// Where cargo puts what it builds.
pub(crate) fn target_folder() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from) {
        Some(folder) => std::path::absolute(&folder).unwrap_or(folder),
        None => workspace().join("target"),
    }
}

/// Says what is run, runs it with this program's own input and output, and fails where it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    eprintln!("xtask: {line}");
    let status = command.status().with_context(|| format!("can't start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Whether it could be started and ended well; what it prints is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// Runs it and becomes it where the system can: signals then reach it directly, and its exit code is ours.
#[cfg(unix)]
pub(crate) fn become_it(command: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let line = line(command);
    eprintln!("xtask: {line}");
    let error = command.exec();
    Err(error).with_context(|| format!("can't start `{line}`"))
}

/// Runs it and waits for it. The console sends Ctrl-C to it as well as to us.
#[cfg(not(unix))]
pub(crate) fn become_it(command: &mut Command) -> Result<()> {
    run(command)
}

/// The program's path, when one of the folders of `PATH` holds it.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    find_named(&format!("{program}{}", std::env::consts::EXE_SUFFIX))
}

/// The same for a file name with its ending.
pub(crate) fn find_named(file_name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(file_name)).find(|file| file.is_file())
}

fn line(command: &Command) -> String {
    // Of the program the name alone: where cargo is says nothing to a reader.
    let program = Path::new(command.get_program()).file_stem().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
