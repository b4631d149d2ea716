//! `atlashub plugin`: for authors (keygen, sign, verify, inspect) and for the owner (list, approve, revoke).
//!
//! Keys and signatures are minisign's: the standard tool reads what is written here, and the other way round. Not here:
//! building a plugin, which is the author's toolchain's.

mod files;
mod inspect;
mod keygen;
mod owner;
mod password;
mod sign;
mod verify;

use std::process::ExitCode;

use super::error::CommandError;

/// Sign plugins, look into them, and decide which may run.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(super) struct PluginArguments {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, clap::Subcommand)]
enum PluginCommand {
    Keygen(keygen::KeygenArguments),
    Sign(sign::SignArguments),
    Verify(verify::VerifyArguments),
    Inspect(inspect::InspectArguments),
    List(owner::ListArguments),
    Approve(owner::ApproveArguments),
    Revoke(owner::RevokeArguments),
}

pub(super) async fn run(arguments: &PluginArguments) -> Result<ExitCode, CommandError> {
    match &arguments.command {
        PluginCommand::Keygen(arguments) => keygen::run(arguments),
        PluginCommand::Sign(arguments) => sign::run(arguments),
        PluginCommand::Verify(arguments) => verify::run(arguments),
        PluginCommand::Inspect(arguments) => inspect::run(arguments),
        PluginCommand::List(arguments) => owner::list(arguments).await,
        PluginCommand::Approve(arguments) => owner::approve(arguments).await,
        PluginCommand::Revoke(arguments) => owner::revoke(arguments).await,
    }
}
