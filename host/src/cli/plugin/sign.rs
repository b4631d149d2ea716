//! `atlashub plugin sign`: signs a component.

use std::{path::PathBuf, process::ExitCode};

use chrono::Utc;
use minisign::{PError, PublicKey};

use super::{
    files::{self, Replace},
    password::PasswordArguments,
};
use crate::{
    cli::error::CommandError,
    plugins::package::{ComponentFacts, ParamsSchemas},
};

/// Sign a component
///
/// Writes the signature next to the component, with `.minisig` appended to its name. Replaces an existing signature.
#[derive(Debug, clap::Args)]
pub(super) struct SignArguments {
    /// Component to sign, for example `hello.wasm`
    file: PathBuf,
    /// Secret key file
    #[arg(short, long, value_name = "FILE", default_value = "minisign.key")]
    secret_key: PathBuf,
    /// Comment that is signed with the file (default: time and file name)
    #[arg(short, long, value_name = "TEXT")]
    trusted_comment: Option<String>,
    #[command(flatten)]
    password: PasswordArguments,
}

pub(super) fn run(arguments: &SignArguments) -> Result<ExitCode, CommandError> {
    let component = files::read(&arguments.file)?;
    let checked = ComponentFacts::read(&component).and_then(|facts| ParamsSchemas::compile(&facts.manifest).map(drop));
    if let Err(refusal) = checked {
        eprintln!("atlashub: note: a host would reject {}: {}.", arguments.file.display(), refusal.text());
    }
    let name = arguments.file.file_name().unwrap_or_default().to_string_lossy();
    // The default comment has the format of minisign's.
    let comment = arguments
        .trusted_comment
        .clone()
        .unwrap_or_else(|| format!("timestamp:{}\tfile:{name}\thashed", Utc::now().timestamp()));
    if comment.contains(['\r', '\n']) {
        return Err(CommandError::failed("The trusted comment must be one line."));
    }
    let failed = |error: PError| CommandError::failed(format!("The file can't be signed: {error}."));
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
    let path = files::signature_path(&arguments.file);
    files::write(&path, &signature.into_string(), 0o644, Replace::Always)?;
    print_stdout!("Signature: {}", path.display());
    Ok(ExitCode::SUCCESS)
}
