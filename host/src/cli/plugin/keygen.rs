use std::{path::PathBuf, process::ExitCode};

use minisign::{KeyPair, PError};

use super::{
    files::{self, Replace},
    password::PasswordArguments,
};
use crate::cli::error::CommandError;

/// Make a key pair to sign plugins with.
///
/// Writes minisign's two files: the secret one (mode 0600; keep it to yourself) and the public one (give it to whoever
/// shall trust you). Files that are there are never replaced.
#[derive(Debug, clap::Args)]
pub(super) struct KeygenArguments {
    /// File of the secret key.
    #[arg(short, long, value_name = "FILE", default_value = "minisign.key")]
    secret_key: PathBuf,
    /// File of the public key.
    #[arg(short, long, value_name = "FILE", default_value = "minisign.pub")]
    public_key: PathBuf,
    #[command(flatten)]
    password: PasswordArguments,
}

pub(super) fn run(arguments: &KeygenArguments) -> Result<ExitCode, CommandError> {
    let failed = |error: PError| CommandError::failed(format!("No key could be made: {error}."));
    for path in [&arguments.secret_key, &arguments.public_key] {
        if path.symlink_metadata().is_ok() {
            return Err(CommandError::failed(format!("{} is there already; choose another name.", path.display())));
        }
    }
    let pair = if arguments.password.no_password {
        KeyPair::generate_unencrypted_keypair()
    } else {
        KeyPair::generate_encrypted_keypair(arguments.password.given()?)
    };
    let pair = pair.map_err(failed)?;
    let secret = pair.sk.to_box(Some("minisign secret key")).map_err(failed)?.into_string();
    let public = pair.pk.to_box().map_err(failed)?.into_string();
    files::write(&arguments.secret_key, &secret, 0o600, Replace::Never)?;
    files::write(&arguments.public_key, &public, 0o644, Replace::Never)?;
    say!("Secret key: {}", arguments.secret_key.display());
    say!("Public key: {} ({})", arguments.public_key.display(), pair.pk.to_base64());
    Ok(ExitCode::SUCCESS)
}
