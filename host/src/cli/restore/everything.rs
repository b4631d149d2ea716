//! `atlashub restore everything`: restores the platform database and all projects.

use std::process::ExitCode;

use super::{Confirmation, RestoreTools, platform, project::Projects};
use crate::{cli::error::CommandError, config::Config, db::restore::FailedObjects};

/// Restore the platform database and all projects from their newest backups
///
/// For a new machine that has the object store and the master key of a lost one. Reports what could not be restored.
#[derive(Debug, clap::Args)]
pub(super) struct EverythingArguments {
    #[command(flatten)]
    lost_keys: platform::LostKeys,
    #[command(flatten)]
    confirmation: Confirmation,
}

pub(super) async fn run(arguments: &EverythingArguments, config: Config) -> Result<ExitCode, CommandError> {
    let consequence = "This replaces the platform database and the databases of all projects.";
    let tools = RestoreTools::begin(&config, consequence, &arguments.confirmation).await?;
    let outcome = restore(&tools, config, &arguments.lost_keys).await;
    tools.running.stop().await;
    outcome
}

async fn restore(
    tools: &RestoreTools,
    config: Config,
    lost_keys: &platform::LostKeys,
) -> Result<ExitCode, CommandError> {
    platform::restore(tools, tools.choose("platform", None)?, lost_keys).await?;
    let projects = Projects::open(tools, config, FailedObjects::Fail).await?;
    let outcome = projects.restore_all().await;
    projects.close().await;
    outcome
}
