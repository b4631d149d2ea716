//! Reads and writes the files of the plugin commands.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::cli::error::CommandError;

pub(super) fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    fs::read(path).map_err(|error| CommandError::failed(format!("{} can't be read: {error}.", path.display())))
}

pub(super) fn read_text(path: &Path) -> Result<String, CommandError> {
    String::from_utf8(read(path)?).map_err(|_| CommandError::failed(format!("{} is not text.", path.display())))
}

/// Writes a file. A new file gets this mode; a replaced file keeps its mode. Fails if the file exists and `replace` is
/// [`Replace::Never`].
pub(super) fn write(path: &Path, content: &str, mode: u32, replace: Replace) -> Result<(), CommandError> {
    let mut options = OpenOptions::new();
    options.write(true).mode(mode);
    match replace {
        Replace::Never => options.create_new(true),
        Replace::Always => options.create(true).truncate(true),
    };
    let written = options.open(path).and_then(|mut file| {
        file.write_all(content.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            CommandError::failed(format!("{} already exists; choose another name.", path.display()))
        }
        _ => CommandError::failed(format!("{} can't be written: {error}.", path.display())),
    })
}

/// Writes a file. A process that reads it meanwhile sees either the old content or the whole new one.
pub(super) fn write_bytes(path: &Path, content: &[u8]) -> Result<(), CommandError> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    fs::write(&partial, content)
        .and_then(|()| fs::rename(&partial, path))
        .map_err(|error| CommandError::failed(format!("{} can't be written: {error}.", path.display())))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replace {
    Never,
    Always,
}

/// Returns the path of a component's signature: `x.wasm.minisig` for `x.wasm`.
pub(super) fn signature_path(component: &Path) -> PathBuf {
    let mut path = component.as_os_str().to_owned();
    path.push(".minisig");
    path.into()
}
