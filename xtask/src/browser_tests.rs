//! Runs the dashboard's tests in Chromium, against the built server with a new data folder.

use std::{ffi::OsString, fs, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::{dashboard, process, setup, test_server::Server};

/// Number of test files that run at the same time. Each creates its own projects, and spends most of its time waiting.
const CONCURRENT_FILES: &str = "3";
/// Maximum number of files with failures that are run once more. If more files have failures, a busy machine is
/// probably not the cause, and none is run again.
const MAX_REPEATED_FILES: usize = 4;
/// Path of the reporter that lists the test files with failures, relative to the dashboard's folder.
const REPORTER: &str = "./tests/failed-files.mjs";

/// Runs all tests, or only those of the files whose name contains `filter`.
///
/// Up to [`MAX_REPEATED_FILES`] files with a failure run once more, one after the other: a browser that shares a busy
/// machine can miss a time limit. The output names them, so that an unreliable test is noticed.
pub(crate) fn run(filter: Option<&str>) -> Result<()> {
    let tests = test_files(filter)?;
    if tests.is_empty() {
        return Ok(());
    }
    let chromium = setup::chromium().context("Chromium is not installed")?;
    let server = Server::start("debug")?;
    let list = std::env::temp_dir().join(format!("atlashub-failed-test-files-{}", std::process::id()));
    // Returns the result and the files with failures.
    let run_files = |concurrency: &str, files: &[OsString]| {
        let mut node = Command::new("node");
        node.current_dir(dashboard::folder()).args(["--test", "--test-concurrency", concurrency]);
        node.args(["--test-reporter", "tap", "--test-reporter-destination", "stdout"]);
        node.args(["--test-reporter", REPORTER, "--test-reporter-destination"]).arg(&list).args(files);
        let result = process::run(server.set_environment(&mut node).env("ATLASHUB_TEST_CHROMIUM", &chromium));
        let failed = fs::read_to_string(&list).unwrap_or_default().lines().map(OsString::from).collect::<Vec<_>>();
        let _ = fs::remove_file(&list);
        (result, failed)
    };
    let (result, failed) = run_files(CONCURRENT_FILES, &tests);
    if result.is_ok() || failed.is_empty() || failed.len() > MAX_REPEATED_FILES {
        return result;
    }
    println!("xtask: running the files with failures once more: {failed:?}");
    run_files("1", &failed).0?;
    println!("xtask: unreliable tests: {failed:?} failed once, and passed alone");
    Ok(())
}

fn test_files(filter: Option<&str>) -> Result<Vec<OsString>> {
    let folder = dashboard::folder().join("tests");
    let entries = fs::read_dir(&folder).with_context(|| format!("could not read {}", folder.display()))?;
    let mut files: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
    files.retain(|file| file.to_str().is_some_and(|name| name.ends_with(".test.mjs")));
    if let Some(filter) = filter {
        files.retain(|file| file.to_str().is_some_and(|name| name.contains(filter)));
    }
    files.sort();
    Ok(files.into_iter().map(|file| Path::new("tests").join(file).into_os_string()).collect())
}
