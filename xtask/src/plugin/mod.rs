//! `cargo xtask plugin …`: from a plugin's source to a signed component.
//!
//! Reading order: [`package`] finds a plugin's folder and what cargo knows of it, [`component`] makes a component of its
//! module, [`build`] puts both together, [`keys`] signs, [`first_party`] does all of it for the plugins of this
//! repository, [`scaffold`] begins a new one. Deliberately absent: trust and approval, which are the host's
//! (`atlashub plugin …`).

mod build;
mod component;
pub(crate) mod first_party;
mod keys;
mod package;
mod scaffold;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
Usage: cargo xtask plugin <command>

  new NAME [--path FOLDER]                 a plugin to begin with, in FOLDER/NAME
  build NAME [--path FOLDER]               NAME.wasm in target/plugins, from plugins/NAME or from FOLDER
  keygen --key FILE [--no-password]        a key to sign with, as `minisign -G` makes them; FILE.pub is what others need
  sign NAME|FILE.wasm --key FILE [--password-file FILE]
                                           the signature beside the component, as `minisign -S` makes it
  first-party                              what is inside the host's binary, built and signed
  testing                                  what the host's tests run, built and signed by nobody
";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        bail!("no command given\n\n{USAGE}");
    };
    let mut given = Arguments::parse(rest)?;
    match command.as_str() {
        "new" => {
            let name = given.name()?;
            let folder = given.take("--path")?;
            given.none_left()?;
            scaffold::run(&name, folder.as_deref())
        }
        "build" => {
            let name = given.name()?;
            let folder = given.take("--path")?;
            given.none_left()?;
            let file = build::one(&name, folder.as_deref())?;
            println!("{}", file.display());
            Ok(())
        }
        "keygen" => {
            let key = given.take("--key")?.context("say where to write it: --key FILE")?;
            let password = given.password()?;
            given.none_left()?;
            keys::generate(&key, password)
        }
        "sign" => {
            let name = given.name()?;
            let key = given.take("--key")?.context("say with which key: --key FILE")?;
            let password = given.password()?;
            given.none_left()?;
            let file = if Path::new(&name).extension().is_some() { name.into() } else { build::output(&name) };
            let signature = keys::sign_file(&file, &key, password)?;
            println!("{}", signature.display());
            Ok(())
        }
        "first-party" => given.none_left().and_then(|()| first_party::ensure()),
        "testing" => given.none_left().and_then(|()| first_party::ensure_testing()),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("there is no command `plugin {other}`\n\n{USAGE}"),
    }
}

/// What follows the command: a name, and options with a value each.
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
                let value = rest.next().with_context(|| format!("`{argument}` needs a value\n\n{USAGE}"))?;
                parsed.options.push((argument.clone(), value.clone()));
            } else if parsed.name.is_none() {
                parsed.name = Some(argument.clone());
            } else {
                bail!("`{argument}` is one too many\n\n{USAGE}");
            }
        }
        Ok(parsed)
    }

    fn name(&mut self) -> Result<String> {
        self.name.take().with_context(|| format!("which plugin? Give its name\n\n{USAGE}"))
    }

    /// A path that an option gives, seen from the caller's folder.
    fn take(&mut self, option: &str) -> Result<Option<PathBuf>> {
        let Some(index) = self.options.iter().position(|(name, _)| name == option) else { return Ok(None) };
        let (_, value) = self.options.remove(index);
        std::path::absolute(&value).map(Some).with_context(|| format!("`{value}` is no path"))
    }

    fn password(&mut self) -> Result<keys::Password> {
        let file = self.take("--password-file")?;
        match (std::mem::take(&mut self.no_password), file) {
            (true, None) => Ok(keys::Password::None),
            (false, None) => Ok(keys::Password::Ask),
            (false, Some(file)) => {
                let text = std::fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
                Ok(keys::Password::Given(text.trim_end_matches(['\r', '\n']).to_owned()))
            }
            (true, Some(_)) => bail!("--no-password and --password-file contradict each other"),
        }
    }

    fn none_left(&self) -> Result<()> {
        match (self.name.as_ref(), self.options.first(), self.no_password) {
            (None, None, false) => Ok(()),
            (Some(name), ..) => bail!("`{name}` is one too many\n\n{USAGE}"),
            (None, Some((option, _)), _) => bail!("`{option}` is not known here\n\n{USAGE}"),
            (None, None, true) => bail!("`--no-password` is not known here\n\n{USAGE}"),
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
    fn options_are_taken_one_by_one_and_none_may_be_left() {
        let mut given = parse(&["hello", "--key", "/k", "--password-file", "/p"]).unwrap();
        assert_eq!(given.name().unwrap(), "hello");
        assert_eq!(given.take("--key").unwrap(), Some("/k".into()));
        assert!(given.none_left().unwrap_err().to_string().contains("--password-file"));
        assert!(parse(&["a", "b"]).is_err());
        assert!(parse(&["a", "--key"]).is_err());
    }
}
