//! `atlashub plugin verify`: checks a component's signature.

use std::{path::PathBuf, process::ExitCode};

use plugin_manifest::escape_deceptive;

use super::files;
use crate::{
    cli::error::CommandError,
    plugins::{package::PluginKey, trust::DetachedSignature},
};

/// Check a component's signature with a public key
///
/// Exits with 1 if the signature is wrong.
#[derive(Debug, clap::Args)]
pub(super) struct VerifyArguments {
    /// Component to check, for example `hello.wasm`, with `hello.wasm.minisig` next to it
    file: PathBuf,
    /// Public key file, or the key itself
    #[arg(short, long, value_name = "FILE|KEY", default_value = "minisign.pub")]
    public_key: String,
}

pub(super) fn run(arguments: &VerifyArguments) -> Result<ExitCode, CommandError> {
    let key = match PluginKey::parse(&arguments.public_key) {
        Ok(key) => key,
        Err(_) => {
            let text = files::read_text(arguments.public_key.as_ref())?;
            PluginKey::parse(&text)
                .map_err(|error| CommandError::failed(format!("{} can't be used: {error}.", arguments.public_key)))?
        }
    };
    let path = files::signature_path(&arguments.file);
    let file = path.display().to_string();
    let wrong = |refusal| CommandError::failed(format!("{}: {refusal}.", arguments.file.display()));
    let signature = DetachedSignature::parse(&files::read_text(&path)?, &file).map_err(wrong)?;
    if signature.key_id() != key.id() {
        return Err(CommandError::failed(format!(
            "{} is signed by key {}, but the given public key is {}.",
            arguments.file.display(),
            signature.key_id(),
            key.id()
        )));
    }
    signature.check(&key, &files::read(&arguments.file)?).map_err(wrong)?;
    print_stdout!(
        "The signature by key {} is valid. Trusted comment: {}",
        key.id(),
        escape_deceptive(signature.trusted_comment())
    );
    Ok(ExitCode::SUCCESS)
}
