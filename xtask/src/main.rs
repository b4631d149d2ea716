//! The project's own commands, started as `cargo xtask <command>`.
//!
//! Plain Rust, so that they work wherever the project does: no shell scripts. What a command needs on the
//! machine is listed once, in [`setup`]; everything that it fetches or builds for itself is kept outside the
//! clone, in [`cache`]. Deliberately not here: anything that the server itself needs at run time.

mod bench;
mod build_cmd;
mod cache;
mod dev;
mod garage;
mod lint;
mod plugin;
mod process;
mod schemathesis;
mod setup;
mod test;
mod wasm32;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
Usage: cargo xtask <command>

  dev [-- <arguments of serve>]          set up what is missing, build, and start the server on the embedded default
  test [--fast] [<filter>]               formatting, lints and every test
         --fast      the tests alone
         --garage    the storage tests alone, against a real Garage (built once, about ten minutes)
         --schemathesis  requests made up from the OpenAPI document alone, looking for 5xx
         <filter>    only tests whose name contains it
  lint                                   formatting, lints, licences and advisories
  build [--release]                      one self-contained binary
  plugin <command>                       write, build and sign plugins; see `cargo xtask plugin help`
  bench [-- <arguments of the benches>]  measure beside pgbench and PostgREST
  setup                                  set up what is missing, and nothing else
";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<String>) -> Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        bail!("no command given\n\n{USAGE}");
    };
    match command.as_str() {
        "dev" => dev::run(passed_on(rest)?),
        "test" => test::run(&test::Options::parse(rest)?),
        "lint" => none(rest).and_then(|()| lint::run()),
        "build" => build_cmd::run(rest),
        "plugin" => plugin::run(rest),
        "bench" => bench::run(passed_on(rest)?),
        "setup" => none(rest).and_then(|()| setup::everything()),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("there is no command `{other}`\n\n{USAGE}"),
    }
}

/// What follows `--`.
fn passed_on(arguments: &[String]) -> Result<&[String]> {
    match arguments.split_first() {
        None => Ok(&[]),
        Some((first, rest)) if first == "--" => Ok(rest),
        Some((first, _)) => bail!("`{first}` is not known here; arguments to pass on go after `--`\n\n{USAGE}"),
    }
}

fn none(arguments: &[String]) -> Result<()> {
    match arguments.first() {
        None => Ok(()),
        Some(first) => bail!("`{first}` is not known here\n\n{USAGE}"),
    }
}
