//! `atlashub plugin`: for authors (new, bindings, pack, keygen, sign, verify, inspect) and for the owner (list,
//! approve, revoke).
//!
//! Keys and signatures use minisign's formats, so minisign can read the files of these commands, and vice versa.
//! Deliberately absent: compiling a plugin. The author's toolchain does that.

mod bindings;
mod files;
mod inspect;
mod keygen;
mod new;
mod owner;
mod pack;
mod password;
mod sign;
mod verify;

use std::process::ExitCode;

use super::error::CommandError;

/// Create, pack, sign, inspect, approve and revoke plugins
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(super) struct PluginArguments {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, clap::Subcommand)]
enum PluginCommand {
    New(new::NewArguments),
    Bindings(bindings::BindingsArguments),
    Pack(pack::PackArguments),
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
        PluginCommand::New(arguments) => new::run(arguments),
        PluginCommand::Bindings(arguments) => bindings::run(arguments),
        PluginCommand::Pack(arguments) => pack::run(arguments),
        PluginCommand::Keygen(arguments) => keygen::run(arguments),
        PluginCommand::Sign(arguments) => sign::run(arguments),
        PluginCommand::Verify(arguments) => verify::run(arguments),
        PluginCommand::Inspect(arguments) => inspect::run(arguments),
        PluginCommand::List(arguments) => owner::list(arguments).await,
        PluginCommand::Approve(arguments) => owner::approve(arguments).await,
        PluginCommand::Revoke(arguments) => owner::revoke(arguments).await,
    }
}
