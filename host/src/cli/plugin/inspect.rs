use std::{path::PathBuf, process::ExitCode};

use serde_json::json;

use super::files;
use crate::{
    cli::error::CommandError,
    plugins::trust::{ComponentFacts, DetachedSignature},
    secrets::sha256,
};

/// Show what a component says of itself: manifest, imports, hash, and the key that its signature names.
///
/// As JSON. Nothing of it is checked against any trust; exits with 1 where a host would refuse the component.
#[derive(Debug, clap::Args)]
pub(super) struct InspectArguments {
    /// The component, for example `hello.wasm`.
    file: PathBuf,
}

pub(super) fn run(arguments: &InspectArguments) -> Result<ExitCode, CommandError> {
    let component = files::read(&arguments.file)?;
    let path = files::signature_of(&arguments.file);
    let signature = match path.exists() {
        true => match DetachedSignature::parse(&files::read_text(&path)?, &path.display().to_string()) {
            Ok(signature) => {
                json!({ "keyId": signature.key_id(), "comment": signature.trusted_comment(), "checked": false })
            }
            Err(refusal) => json!({ "problem": refusal.to_string() }),
        },
        false => json!(null),
    };
    let hash: String = sha256(&component).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut shown = json!({ "sha256": hash, "bytes": component.len(), "signature": signature });
    let code = match ComponentFacts::read(&component) {
        Ok(facts) => {
            shown["imports"] = json!(facts.imports);
            shown["manifest"] = serde_json::to_value(&facts.manifest).unwrap_or_default();
            ExitCode::SUCCESS
        }
        Err(refusal) => {
            shown["problem"] = json!(refusal.to_string());
            ExitCode::FAILURE
        }
    };
    say!("{shown:#}");
    Ok(code)
}
