//! `atlashub plugin inspect`: prints a component's manifest, imports, hash and signature key.

use std::{path::PathBuf, process::ExitCode};

use serde_json::json;

use super::files;
use crate::{
    cli::error::CommandError,
    plugins::{
        package::{ComponentFacts, ParamsSchemas},
        trust::DetachedSignature,
    },
    secrets::sha256,
};

/// Print a component's manifest, imports, hash and signature key as JSON
///
/// Does not check the signature or any approval. If a host would reject the component itself, prints the problem
/// instead of manifest and imports, and exits with 1.
#[derive(Debug, clap::Args)]
pub(super) struct InspectArguments {
    /// The component, for example `hello.wasm`
    file: PathBuf,
}

pub(super) fn run(arguments: &InspectArguments) -> Result<ExitCode, CommandError> {
    let component = files::read(&arguments.file)?;
    let path = files::signature_path(&arguments.file);
    let signature = match path.exists() {
        true => match DetachedSignature::parse(&files::read_text(&path)?, &path.display().to_string()) {
            Ok(signature) => {
                json!({ "keyId": signature.key_id(), "comment": signature.trusted_comment(), "checked": false })
            }
            Err(refusal) => json!({ "problem": refusal.to_string() }),
        },
        false => json!(null),
    };
    let mut output =
        json!({ "sha256": hex::encode(sha256(&component)), "bytes": component.len(), "signature": signature });
    let checked =
        ComponentFacts::read(&component).and_then(|facts| ParamsSchemas::compile(&facts.manifest).map(|_| facts));
    let code = match checked {
        Ok(facts) => {
            output["imports"] = json!(facts.imports);
            output["manifest"] = serde_json::to_value(&facts.manifest).unwrap_or_default();
            ExitCode::SUCCESS
        }
        Err(refusal) => {
            output["problem"] = json!(refusal.text());
            ExitCode::FAILURE
        }
    };
    print_stdout!("{output:#}");
    Ok(code)
}
