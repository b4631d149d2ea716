//! `cargo xtask plugin …`: creates, builds and signs plugins.
//!
//! Modules in reading order: [`package`] (a plugin's cargo package), [`build`] (from its source to a plugin), [`pack`]
//! (from the output of any compiler to a plugin), [`keys`] (signing), [`first_party`] (the plugins of this repository),
//! [`scaffold`] (new plugins), [`files`] (writing output). Deliberately absent: trust and approval, which belong to the
//! host (`atlashub plugin …`), and the conversion of WebAssembly to a plugin, which is in `plugins/packing`.

mod build;
mod files;
pub(crate) mod first_party;
mod keys;
mod pack;
mod package;
mod scaffold;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
Usage: cargo xtask plugin <command>

  new NAME [--path FOLDER]             create the folder FOLDER/NAME with a minimal plugin
  build NAME [--path FOLDER]           build plugins/NAME, or the plugin in FOLDER, to target/plugins/NAME.wasm
  pack FILE.wasm --manifest FILE.json [--output FILE]
                                       turn the output of any compiler into a plugin, by default NAME.wasm beside it
  keygen --key FILE [--no-password | --password-file FILE]
                                       create a signing key like `minisign -G`; FILE.pub is the public key
  sign NAME|FILE.wasm --key FILE [--password-file FILE]
                                       sign a plugin like `minisign -S`
  first-party                          build and sign the plugins that are embedded in the host
  testing                              build the unsigned plugins of the host's tests
";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        bail!("No command given.\n\n{USAGE}");
    };
    let mut arguments = Arguments::parse(rest)?;
    match command.as_str() {
        "new" => {
            let name = arguments.take_name()?;
            let folder = arguments.take_path("--path")?;
            arguments.expect_empty()?;
            scaffold::run(&name, folder.as_deref())
        }
        "build" => {
            let name = arguments.take_name()?;
            let folder = arguments.take_path("--path")?;
            arguments.expect_empty()?;
            let file = build::build_plugin(&name, folder.as_deref())?;
            println!("{}", file.display());
            Ok(())
        }
        "pack" => {
            let file = arguments.take_name()?;
            let manifest =
                arguments.take_path("--manifest")?.context("Name the manifest with --manifest FILE.json.")?;
            let output = arguments.take_path("--output")?;
            arguments.expect_empty()?;
            pack::run(Path::new(&file), &manifest, output.as_deref())
        }
        "keygen" => {
            let key = arguments.take_path("--key")?.context("Name the file to write with --key FILE.")?;
            let password = arguments.take_password()?;
            arguments.expect_empty()?;
            keys::generate(&key, password)
        }
        "sign" => {
            let name = arguments.take_name()?;
            let key = arguments.take_path("--key")?.context("Name the key with --key FILE.")?;
            let password = arguments.take_password()?;
            arguments.expect_empty()?;
            let file = if Path::new(&name).extension().is_some() { name.into() } else { build::output_path(&name) };
            let signature = keys::sign_file(&file, &key, password)?;
            println!("{}", signature.display());
            Ok(())
        }
        "first-party" => arguments.expect_empty().and_then(|()| first_party::ensure()),
        "testing" => arguments.expect_empty().and_then(|()| first_party::ensure_testing()),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("Unknown command `plugin {other}`.\n\n{USAGE}"),
    }
}

/// Arguments after the command: a name or file, and options, each with a value except `--no-password`.
#[derive(Debug, Default)]
struct Arguments {
    name: Option<String>,
    options: Vec<(String, String)>,
    no_password: bool,
}

impl Arguments {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut parsed = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if argument == "--no-password" {
                parsed.no_password = true;
            } else if argument.starts_with("--") {
                let value = rest.next().with_context(|| format!("`{argument}` needs a value.\n\n{USAGE}"))?;
                parsed.options.push((argument.clone(), value.clone()));
            } else if parsed.name.is_none() {
                parsed.name = Some(argument.clone());
            } else {
                bail!("Unexpected argument `{argument}`.\n\n{USAGE}");
            }
        }
        Ok(parsed)
    }

    fn take_name(&mut self) -> Result<String> {
        self.name.take().with_context(|| format!("Name the plugin or the file.\n\n{USAGE}"))
    }

    /// Removes an option and returns its value as an absolute path, resolved against the current folder.
    fn take_path(&mut self, option: &str) -> Result<Option<PathBuf>> {
        let Some(index) = self.options.iter().position(|(name, _)| name == option) else { return Ok(None) };
        let (_, value) = self.options.remove(index);
        std::path::absolute(&value).map(Some).with_context(|| format!("`{value}` is not a path"))
    }

    fn take_password(&mut self) -> Result<keys::Password> {
        let file = self.take_path("--password-file")?;
        match (std::mem::take(&mut self.no_password), file) {
            (true, None) => Ok(keys::Password::None),
            (false, None) => Ok(keys::Password::Ask),
            (false, Some(file)) => {
                let text =
                    std::fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
                Ok(keys::Password::Given(text.trim_end_matches(['\r', '\n']).to_owned()))
            }
            (true, Some(_)) => bail!("--no-password and --password-file can't be combined."),
        }
    }

    /// Rejects arguments that the command did not use.
    fn expect_empty(&self) -> Result<()> {
        match (self.name.as_ref(), self.options.first(), self.no_password) {
            (None, None, false) => Ok(()),
            (Some(name), ..) => bail!("Unexpected argument `{name}`.\n\n{USAGE}"),
            (None, Some((option, _)), _) => bail!("Unknown option `{option}`.\n\n{USAGE}"),
            (None, None, true) => bail!("Unknown option `--no-password`.\n\n{USAGE}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Arguments> {
        Arguments::parse(&arguments.iter().map(|&argument| argument.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn unused_and_incomplete_options_are_rejected() {
        let mut arguments = parse(&["hello", "--key", "/k", "--password-file", "/p"]).unwrap();
        assert_eq!(arguments.take_name().unwrap(), "hello");
        assert_eq!(arguments.take_path("--key").unwrap(), Some("/k".into()));
        assert!(arguments.expect_empty().unwrap_err().to_string().contains("--password-file"));
        assert!(parse(&["a", "b"]).is_err());
        assert!(parse(&["a", "--key"]).is_err());
    }
}
