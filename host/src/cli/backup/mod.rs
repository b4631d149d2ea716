//! `atlashub backup`: creates, lists and verifies backups.

mod create;
mod list;
mod verify;

use std::process::ExitCode;

use uuid::Uuid;

pub(super) use list::print_line;

use super::{error::CommandError, logging};
use crate::config::{Config, Role, Vars};

/// Create, list and verify backups
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(super) struct BackupArguments {
    #[command(subcommand)]
    command: BackupCommand,
}

#[derive(Debug, clap::Subcommand)]
enum BackupCommand {
    Create(create::CreateArguments),
    List(list::ListArguments),
    Verify(verify::VerifyArguments),
}

pub(super) async fn run(arguments: &BackupArguments) -> Result<ExitCode, CommandError> {
    let vars = Vars::from_process()?;
    let config = Config::from_vars(&vars, Role::All)?;
    logging::start(&vars, config.log_json, "warn")?;
    match &arguments.command {
        BackupCommand::Create(arguments) => create::run(arguments, config).await,
        BackupCommand::List(arguments) => list::run(arguments, &config).await,
        BackupCommand::Verify(arguments) => verify::run(arguments, &config).await,
    }
}

/// Parses the id of a backup in the arguments of a command.
pub(super) fn parse_backup_id(text: &str) -> Result<Uuid, String> {
    text.parse().map_err(|_| "this is not the id of a backup; `atlashub backup list` lists all backups".to_owned())
}
