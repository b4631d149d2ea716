//! `atlashub plugin`: for authors (keygen, sign, verify, inspect) and for the owner (list, approve, revoke).
//!
//! Keys and signatures use minisign's formats, so minisign can read what these commands write, and vice versa.
//! Deliberately absent: building a plugin, which the author's toolchain does.

mod files;
mod inspect;
mod keygen;
mod owner;
mod password;
mod sign;
mod verify;

use std::process::ExitCode;

use super::error::CommandError;

/// Sign, inspect, approve and revoke plugins.
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
