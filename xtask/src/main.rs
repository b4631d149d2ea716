//! The project's development commands, started as `cargo xtask <command>`.
//!
//! The commands are written in Rust instead of shell, so that they run on every system that the project supports.
//! [`setup`] lists the tools that commands need. Programs that a command downloads or builds for its own use are kept
//! outside the clone, in [`cache`]. Only the npm packages that a `package-lock.json` of the clone lists are in the
//! clone, in the folder `node_modules` next to that file. Deliberately absent: anything that the server needs at run
//! time.

mod bench;
mod browser_tests;
mod build_cmd;
mod cache;
mod dashboard;
mod dev;
mod disk_space;
mod garage;
mod lint;
mod packages;
mod plugin;
mod postgres_versions;
mod process;
mod promtool;
mod python_client;
mod schemathesis;
mod setup;
mod test;
mod test_server;
mod wasm32;
mod watch;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
Usage: cargo xtask <command>

  dev [--watch] [-- <arguments of serve>]
                                         install missing tools, build, and start the server
         --watch         also rebuild the dashboard when one of its files changes
  test [<options>] [<filter>]            check formatting and lints, and run the tests
         --fast          only run the tests
         --garage        only run the storage tests, against a real Garage (built once, about ten minutes)
         --browser       only run the dashboard's tests in Chromium; the filter is part of a file's name
         --browser-release
                         the same with the dashboard as it is released: small, and a module for each group of pages
         --languages     only build plugins in C, Python, JavaScript and Rust with their own tools, and run them
         --postgres <major>
                         only run the server's tests on this version of Postgres (15 to 18), and move archives
                         between all of these versions
         --schemathesis  only send requests generated from the OpenAPI document, and look for 5xx responses
         <filter>        only run tests whose name contains this text
  lint                                   check formatting, lints, licenses and advisories
  build [--release]                      build one self-contained binary
  plugin <command>                       create, build and sign plugins; see `cargo xtask plugin help`
  bench [-- <arguments of the benches>]  measure AtlasHub, pgbench and PostgREST side by side
  bench dashboard [<minutes>]            measure the dashboard in Chromium; with minutes, also how memory grows
  setup                                  install missing tools
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
        bail!("No command given.\n\n{USAGE}");
    };
    match command.as_str() {
        "dev" => dev::run(rest),
        watch::COMMAND => reject_arguments(rest).and_then(|()| watch::run()),
        "test" => test::run(&test::Options::parse(rest)?),
        "lint" => reject_arguments(rest).and_then(|()| lint::run()),
        "build" => build_cmd::run(rest),
        "plugin" => plugin::run(rest),
        "bench" => match rest.split_first() {
            Some((first, rest)) if first == "dashboard" => bench::run_dashboard(rest),
            _ => bench::run(forwarded_arguments(rest)?),
        },
        "setup" => reject_arguments(rest).and_then(|()| setup::ensure_all()),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("Unknown command `{other}`.\n\n{USAGE}"),
    }
}

/// Returns the arguments after `--`.
fn forwarded_arguments(arguments: &[String]) -> Result<&[String]> {
    match arguments.split_first() {
        None => Ok(&[]),
        Some((first, rest)) if first == "--" => Ok(rest),
        Some((first, _)) => bail!("Unknown argument `{first}`. Put arguments to forward after `--`.\n\n{USAGE}"),
    }
}

fn reject_arguments(arguments: &[String]) -> Result<()> {
    match arguments.first() {
        None => Ok(()),
        Some(first) => bail!("Unknown argument `{first}`.\n\n{USAGE}"),
    }
}
