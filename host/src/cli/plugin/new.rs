//! `atlashub plugin new`: creates a folder with the code of a new plugin.

use std::{path::PathBuf, process::ExitCode};

use plugin_packing::{Language, create_project};

use crate::cli::error::CommandError;

/// Create a plugin with one job
///
/// Writes a folder with the code, a manifest, the versions of the tools, and a script that builds the plugin. Downloads
/// nothing; the script downloads the tools.
#[derive(Debug, clap::Args)]
pub(super) struct NewArguments {
    /// Name of the plugin and of its folder: 2 to 40 lowercase letters, digits and hyphens, beginning with a letter
    name: String,
    /// `rust`, `c`, `python` or `javascript`
    #[arg(short, long)]
    language: Language,
    /// Folder in which the plugin's folder is created
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    path: PathBuf,
}

pub(super) fn run(arguments: &NewArguments) -> Result<ExitCode, CommandError> {
    let folder = create_project(arguments.language, &arguments.name, &arguments.path)?;
    print_stdout!("{}", folder.display());
    print_stdout!(
        "Build it with {}. README.md in that folder lists the tools that it needs.",
        folder.join("build.sh").display()
    );
    Ok(ExitCode::SUCCESS)
}
