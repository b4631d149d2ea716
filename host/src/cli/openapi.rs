//! `atlashub openapi`: prints the OpenAPI document.

use std::process::ExitCode;

use super::error::CommandError;

/// Print the OpenAPI 3.1 document of the public and the admin API
///
/// Needs no configuration and no services.
#[derive(Debug, clap::Args)]
pub(super) struct OpenapiArguments {}

pub(super) fn run(_arguments: &OpenapiArguments) -> Result<ExitCode, CommandError> {
    let document = crate::router::openapi()
        .to_pretty_json()
        .map_err(|error| CommandError::failed(format!("The OpenAPI document could not be serialized: {error}.")))?;
    print_stdout!("{document}");
    Ok(ExitCode::SUCCESS)
}
