//! `atlashub plugin bindings`: writes the files with which a plugin's code uses the host's interfaces.

use std::{path::PathBuf, process::ExitCode};

use plugin_packing::{Language, write_bindings};

use super::files;
use crate::cli::error::CommandError;

/// Write the files that a language needs to use the interfaces that a manifest requests
///
/// For C: `plugin.h`, `plugin.c` and `plugin_component_type.o`. For other languages: `plugin.wit`, from which
/// componentize-py, componentize-qjs or the crate wit-bindgen creates modules. For `plain`: `plugin.wit` without
/// asynchronous functions, for tools that don't support them. Replaces existing files of these names.
#[derive(Debug, clap::Args)]
pub(super) struct BindingsArguments {
    /// `rust`, `c`, `python`, `javascript` or `plain`
    #[arg(short, long)]
    language: Language,
    /// The manifest
    #[arg(short, long, value_name = "FILE", default_value = "manifest.json")]
    manifest: PathBuf,
    /// Folder to write to
    #[arg(short, long, value_name = "FOLDER")]
    output: PathBuf,
}

pub(super) fn run(arguments: &BindingsArguments) -> Result<ExitCode, CommandError> {
    write_bindings(arguments.language, &files::read(&arguments.manifest)?, &arguments.output)?;
    Ok(ExitCode::SUCCESS)
}
