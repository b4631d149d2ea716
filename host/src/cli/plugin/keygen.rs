//! `atlashub plugin keygen`: generates a key pair for signing plugins.

use std::{path::PathBuf, process::ExitCode};

use minisign::{KeyPair, PError};

use super::{
    files::{self, Replace},
    password::PasswordArguments,
};
use crate::cli::error::CommandError;

/// Generate a key pair for signing plugins
///
/// Writes two files in minisign's format: the secret key (mode 0600, keep it private) and the public key (give it to
/// the owners of servers that should trust you). Existing files are never replaced.
#[derive(Debug, clap::Args)]
pub(super) struct KeygenArguments {
    /// Secret key file to write
    #[arg(short, long, value_name = "FILE", default_value = "minisign.key")]
    secret_key: PathBuf,
    /// Public key file to write
    #[arg(short, long, value_name = "FILE", default_value = "minisign.pub")]
    public_key: PathBuf,
    #[command(flatten)]
    password: PasswordArguments,
}

pub(super) fn run(arguments: &KeygenArguments) -> Result<ExitCode, CommandError> {
    let failed = |error: PError| CommandError::failed(format!("The key can't be generated: {error}."));
    for path in [&arguments.secret_key, &arguments.public_key] {
        if path.symlink_metadata().is_ok() {
            return Err(CommandError::failed(format!("{} already exists; choose another name.", path.display())));
        }
    }
    let pair = if arguments.password.no_password {
        KeyPair::generate_unencrypted_keypair()
    } else {
        KeyPair::generate_encrypted_keypair(arguments.password.read()?)
    };
    let pair = pair.map_err(failed)?;
    let secret = pair.sk.to_box(Some("minisign secret key")).map_err(failed)?.into_string();
    let public = pair.pk.to_box().map_err(failed)?.into_string();
    files::write(&arguments.secret_key, &secret, 0o600, Replace::Never)?;
    files::write(&arguments.public_key, &public, 0o644, Replace::Never)?;
    print_stdout!("Secret key: {}", arguments.secret_key.display());
    print_stdout!("Public key: {} ({})", arguments.public_key.display(), pair.pk.to_base64());
    Ok(ExitCode::SUCCESS)
}
