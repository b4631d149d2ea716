//! `cargo xtask test`: everything that must hold, as CI calls it.

use anyhow::{Result, bail};

use crate::{
    garage, lint,
    plugin::first_party,
    process, schemathesis,
    setup::{self, Tool},
};

/// What of it to run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// The tests alone, without formatting and lints.
    fast: bool,
    /// The storage tests alone, against Garage instead of the embedded store.
    garage: bool,
    /// Requests made up from the OpenAPI document alone.
    schemathesis: bool,
    filter: Option<String>,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        for argument in arguments {
            match argument.as_str() {
                "--fast" => options.fast = true,
                "--garage" => options.garage = true,
                "--schemathesis" => options.schemathesis = true,
                flag if flag.starts_with('-') => bail!("`test` has no option `{flag}`; see `cargo xtask help`"),
                filter if options.filter.is_none() => options.filter = Some(filter.to_owned()),
                more => bail!("`test` takes one filter; `{more}` is a second one"),
            }
        }
        Ok(options)
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure(&[Tool::CCompiler, Tool::LibClang, Tool::PostgresServer, Tool::Node, Tool::Curl])?;
    setup::node_modules("docs/examples")?;
    // Before the lints: they build the host as the tests need it, with its plugins inside.
    first_party::ensure()?;
    first_party::ensure_testing()?;
    if options.garage {
        return garage_lane(options.filter.as_deref());
    }
    if options.schemathesis {
        return schemathesis_lane();
    }
    if !options.fast {
        lint::source()?;
        lint::dependencies()?;
    }
    tests(options.filter.as_deref())
}

/// Every test of the workspace. They start their own Postgres and their own store, once for each test program: a
/// runner with a process for each test would start them a hundred times.
fn tests(filter: Option<&str>) -> Result<()> {
    let mut command = process::cargo();
    command.args(["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]);
    process::run(command.args(filter))
}

/// The storage tests once more, on a store of another make.
fn garage_lane(filter: Option<&str>) -> Result<()> {
    let binary = garage::binary()?;
    let mut command = process::cargo();
    command.args(["test", "--package", "atlashub", "--test", "it", "--no-fail-fast", "--"]);
    command.arg(filter.unwrap_or("storage::")).env("ATLASHUB_TEST_GARAGE_BIN", binary);
    process::run(&mut command)
}

/// Requests made up from the OpenAPI document, to both surfaces of a running platform.
fn schemathesis_lane() -> Result<()> {
    let binary = schemathesis::binary()?;
    let mut command = process::cargo();
    command.args(["test", "--package", "atlashub", "--test", "it", "--features", "schemathesis"]);
    command.args(["--", "generated_requests::", "--nocapture"]).env("ATLASHUB_TEST_SCHEMATHESIS_BIN", binary);
    process::run(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options> {
        Options::parse(&arguments.iter().map(|&argument| argument.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read_in_any_order() {
        assert_eq!(parse(&[]).unwrap(), Options::default());
        let options = parse(&["keys", "--fast"]).unwrap();
        assert_eq!(options, Options { fast: true, filter: Some("keys".to_owned()), ..Options::default() });
        assert!(parse(&["--garage"]).unwrap().garage);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(parse(&["--quick"]).unwrap_err().to_string().contains("--quick"));
        assert!(parse(&["one", "two"]).unwrap_err().to_string().contains("two"));
    }
}
