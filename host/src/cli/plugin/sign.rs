use std::{path::PathBuf, process::ExitCode};

use chrono::Utc;
use minisign::{PError, PublicKey};

use super::{
    files::{self, Replace},
    password::PasswordArguments,
};
use crate::{cli::error::CommandError, plugins::trust::ComponentFacts};

/// Sign a component: writes `FILE.minisig` beside it.
#[derive(Debug, clap::Args)]
pub(super) struct SignArguments {
    /// The component, for example `hello.wasm`.
    file: PathBuf,
    /// File of the secret key.
    #[arg(short, long, value_name = "FILE", default_value = "minisign.key")]
    secret_key: PathBuf,
    /// A line that is signed with the file; time and file name unless told.
    #[arg(short, long, value_name = "TEXT")]
    trusted_comment: Option<String>,
    #[command(flatten)]
    password: PasswordArguments,
}

pub(super) fn run(arguments: &SignArguments) -> Result<ExitCode, CommandError> {
    let component = files::read(&arguments.file)?;
    if let Err(refusal) = ComponentFacts::read(&component) {
        eprintln!("atlashub: note: a host would refuse {}: {refusal}.", arguments.file.display());
    }
    let name = arguments.file.file_name().unwrap_or_default().to_string_lossy();
    // As minisign writes it.
    let comment = arguments
        .trusted_comment
        .clone()
        .unwrap_or_else(|| format!("timestamp:{}\tfile:{name}\thashed", Utc::now().timestamp()));
    if comment.contains(['\r', '\n']) {
        return Err(CommandError::failed("The trusted comment must be one line."));
    }
    let failed = |error: PError| CommandError::failed(format!("It could not be signed: {error}."));
    let key = arguments.password.open(&arguments.secret_key)?;
    let public = PublicKey::from_secret_key(&key).map_err(failed)?;
    let signature = minisign::sign(
        Some(&public),
        &key,
        component.as_slice(),
        Some(&comment),
        Some("signature from an AtlasHub plugin key"),
    )
    .map_err(failed)?;
    let path = files::signature_of(&arguments.file);
    files::write(&path, &signature.into_string(), 0o644, Replace::Always)?;
    say!("Signature: {}", path.display());
    Ok(ExitCode::SUCCESS)
}
