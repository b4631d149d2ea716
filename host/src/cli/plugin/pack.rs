//! `atlashub plugin pack`: turns WebAssembly and a manifest into a plugin.

use std::{path::PathBuf, process::ExitCode};

use plugin_packing::{PackError, Packed, describe_request, output_path};

use super::files;
use crate::{
    cli::error::CommandError,
    plugins::package::{ComponentFacts, ParamsSchemas},
};

/// Turn WebAssembly into a plugin: a component with its manifest
///
/// Accepts the output of a compiler of any language: a core module or a component. Prints what the owner of a server
/// will be asked to approve. Sign the result with `atlashub plugin sign`.
#[derive(Debug, clap::Args)]
pub(super) struct PackArguments {
    /// The WebAssembly file
    file: PathBuf,
    /// The manifest: a JSON file with name, version, serial, publisher, description, jobs, capabilities and limits
    #[arg(short, long, value_name = "FILE", default_value = "manifest.json")]
    manifest: PathBuf,
    /// Plugin to write (default: the plugin's name with `.wasm`, next to the WebAssembly file)
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(arguments: &PackArguments) -> Result<ExitCode, CommandError> {
    let wasm = files::read(&arguments.file)?;
    let manifest = files::read(&arguments.manifest)?;
    let packed = plugin_packing::pack(&wasm, &manifest)?;
    let output = match &arguments.output {
        Some(output) => output.clone(),
        None => output_path(&arguments.file, &packed.manifest.name).ok_or_else(|| {
            CommandError::failed("The plugin would replace the file that is packed. Name another file with --output.")
        })?,
    };
    check(&packed)?;
    files::write_bytes(&output, &packed.plugin)?;
    print_stdout!("{}", describe_request(&packed).trim_end());
    print_stdout!("{} ({} KiB)", output.display(), packed.plugin.len().div_ceil(1 << 10));
    Ok(ExitCode::SUCCESS)
}

/// Performs the checks that a host performs before it asks the owner.
fn check(packed: &Packed) -> Result<(), CommandError> {
    let facts = ComponentFacts::read(&packed.plugin);
    facts
        .and_then(|facts| ParamsSchemas::compile(&facts.manifest).map(drop))
        .map_err(|refusal| CommandError::failed(format!("A host would reject the plugin: {}.", refusal.text())))
}

impl From<PackError> for CommandError {
    fn from(error: PackError) -> Self {
        Self::failed(error.to_string())
    }
}
