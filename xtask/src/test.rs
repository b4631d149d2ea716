//! `cargo xtask test`: the checks and tests that CI runs.

use anyhow::{Result, bail};

use crate::{
    browser_tests, dashboard, disk_space, garage, lint, packages,
    plugin::first_party,
    postgres_versions::{self, PostgresVersions},
    process, schemathesis,
    setup::{self, Tool},
    wasm32::Optimization,
};

/// Options of the command.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Run only the tests, without checks of formatting, lints and dependencies.
    fast: bool,
    /// Run only the storage tests, or with a filter, the host's integration tests that it selects. They use Garage
    /// instead of the embedded store.
    garage: bool,
    /// Run only the dashboard's tests in Chromium, against a dashboard with this optimization.
    browser: Option<Optimization>,
    /// Run only the tests that send requests generated from the OpenAPI document.
    schemathesis: bool,
    /// Run only the tests of plugins in C, Python, JavaScript and Rust, which are built with the tools of these
    /// languages.
    languages: bool,
    /// Run only the host's integration tests, on this major version of Postgres.
    postgres: Option<u32>,
    /// Run only tests whose name contains this text. With `browser`, run only the test files whose name contains it.
    /// Without `browser`, a filter excludes the dashboard's tests. `languages` and `schemathesis` ignore the filter.
    filter: Option<String>,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--fast" => options.fast = true,
                "--browser" => options.browser = Some(Optimization::Fast),
                "--browser-release" => options.browser = Some(Optimization::Small),
                "--garage" => options.garage = true,
                "--languages" => options.languages = true,
                "--postgres" => {
                    let major = arguments.next().map_or("", String::as_str);
                    options.postgres = Some(postgres_versions::parse_major(major)?);
                }
                "--schemathesis" => options.schemathesis = true,
                flag if flag.starts_with('-') => bail!("Unknown option `{flag}` of `test`. See `cargo xtask help`."),
                filter if options.filter.is_none() => options.filter = Some(filter.to_owned()),
                other => bail!("Unexpected second filter `{other}`. `test` supports one filter."),
            }
        }
        Ok(options)
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure(&[Tool::CCompiler, Tool::LibClang, Tool::PostgresServer, Tool::Node, Tool::Curl, Tool::Age])?;
    setup::ensure_test_tools()?;
    // The plugins are built before the lints run, because those compile the host, which embeds the plugins.
    first_party::ensure()?;
    first_party::ensure_testing()?;
    if options.garage {
        return run_garage_tests(options.filter.as_deref());
    }
    if options.languages {
        return run_language_tests();
    }
    if options.schemathesis {
        return run_schemathesis();
    }
    if let Some(major) = options.postgres {
        return run_postgres_tests(major, options.filter.as_deref());
    }
    if let Some(optimization) = options.browser.or(options.filter.is_none().then_some(Optimization::Fast)) {
        // The dashboard is built before the host is compiled, because the host embeds it.
        setup::ensure(&[Tool::Chromium])?;
        setup::install_node_modules("dashboard-dioxus")?;
        dashboard::ensure(optimization)?;
    }
    if options.browser.is_some() {
        process::run(process::cargo().args(["build", "--package", "atlashub"]))?;
        return browser_tests::run(options.filter.as_deref());
    }
    if !options.fast {
        lint::check_source()?;
        lint::check_dependencies()?;
    }
    disk_space::remove_leftovers();
    if options.filter.is_none() {
        disk_space::check()?;
    }
    run_tests(options.filter.as_deref())?;
    if options.filter.is_none() {
        dashboard::run_unit_tests()?;
        browser_tests::run(None)?;
    }
    Ok(())
}

/// Runs the tests of the workspace with `cargo test`, except those behind a cargo feature. Each test program starts one
/// Postgres and one store for all its tests; a runner with a process per test would start them hundreds of times.
fn run_tests(filter: Option<&str>) -> Result<()> {
    let versions = PostgresVersions::oldest_and_newest()?;
    let mut command = process::cargo();
    command.args(["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]);
    process::run(versions.set_environment(&mut command).args(filter).args(["--", "--test-threads", &threads()]))
}

/// Returns the number of tests to run at once: twice the number of processors, because tests mostly wait for Postgres
/// and for other programs.
fn threads() -> String {
    (std::thread::available_parallelism().map_or(4, usize::from) * 2).to_string()
}

/// Runs the host's integration tests on a major version of Postgres.
fn run_postgres_tests(major: u32, filter: Option<&str>) -> Result<()> {
    let versions = PostgresVersions::all()?;
    let mut command = process::cargo();
    command.args(["test", "--package", "atlashub", "--test", "it", "--features", "postgres-versions"]);
    command.args(["--no-fail-fast", "--"]).args(filter).args(["--test-threads", &threads()]);
    command.env("ATLASHUB_POSTGRES_BIN_DIR", versions.programs(major));
    process::run(versions.set_environment(&mut command))
}

/// Runs the storage tests, or the host's integration tests that a filter selects, against Garage.
fn run_garage_tests(filter: Option<&str>) -> Result<()> {
    let binary = garage::binary()?;
    let mut command = process::cargo();
    command.args(["test", "--package", "atlashub", "--test", "it", "--no-fail-fast", "--"]);
    command.arg(filter.unwrap_or("storage::")).env("ATLASHUB_TEST_GARAGE_BIN", binary);
    process::run(&mut command)
}

/// Sends generated requests to both surfaces of a running server.
fn run_schemathesis() -> Result<()> {
    let binary = schemathesis::binary()?;
    let mut command = process::cargo();
    command.args(["test", "--package", "atlashub", "--test", "it", "--features", "schemathesis"]);
    command.args(["--", "generated_requests::", "--nocapture"]).env("ATLASHUB_TEST_SCHEMATHESIS_BIN", binary);
    process::run(&mut command)
}

/// Builds plugins in every supported language with their pinned tools, installs them in a server and runs them.
fn run_language_tests() -> Result<()> {
    let mut command = process::cargo();
    command.args(["test", "--package", "atlashub", "--test", "it", "--features", "languages"]);
    command.args(["--", "plugins::built_languages::", "--nocapture", "--test-threads", "1"]);
    for (variable, folder) in [("ATLASHUB_TEST_C_TOOLS", "c"), ("ATLASHUB_TEST_PYTHON_TOOLS", "python")] {
        let requirements = format!("plugins/examples/{folder}/requirements.txt");
        command.env(variable, packages::ensure_python(&format!("plugin-tools-{folder}"), &requirements)?);
    }
    command.env("ATLASHUB_TEST_JAVASCRIPT_TOOLS", packages::ensure_npm("plugin-tools-javascript", JAVASCRIPT_TOOLS)?);
    process::run(&mut command)
}

/// Path of the file that lists the tools that build plugins in JavaScript, with their versions.
const JAVASCRIPT_TOOLS: &str = "plugins/examples/javascript/package.json";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options> {
        Options::parse(&arguments.iter().map(|&argument| argument.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_accepted_in_any_order() {
        assert_eq!(parse(&[]).unwrap(), Options::default());
        let options = parse(&["keys", "--fast"]).unwrap();
        assert_eq!(options, Options { fast: true, filter: Some("keys".to_owned()), ..Options::default() });
        assert!(parse(&["--garage"]).unwrap().garage);
        assert!(parse(&["--languages"]).unwrap().languages);
        let options = parse(&["--postgres", "18", "backups::"]).unwrap();
        assert_eq!(options, Options { postgres: Some(18), filter: Some("backups::".to_owned()), ..Options::default() });
    }

    #[test]
    fn unknown_option_and_second_filter_are_rejected() {
        assert!(parse(&["--quick"]).unwrap_err().to_string().contains("--quick"));
        assert!(parse(&["--postgres", "9"]).unwrap_err().to_string().contains("15, 16, 17 or 18"));
        assert!(parse(&["one", "two"]).unwrap_err().to_string().contains("two"));
    }
}
