//! Runs the dashboard's tests in Chromium, against the built server with a new data folder.

use std::{ffi::OsString, fs, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::{dashboard, process, setup, test_server::Server};

/// Number of test files that run at the same time. Each creates its own projects, and spends most of its time waiting.
const CONCURRENT_FILES: &str = "3";

/// Runs all tests, or only those of the files whose name contains `filter`.
pub(crate) fn run(filter: Option<&str>) -> Result<()> {
    let tests = test_files(filter)?;
    if tests.is_empty() {
        return Ok(());
    }
    let chromium = setup::chromium().context("Chromium is not installed")?;
    let server = Server::start("debug")?;
    let mut node = Command::new("node");
    node.current_dir(dashboard::folder()).args(["--test", "--test-concurrency", CONCURRENT_FILES]).args(tests);
    process::run(server.set_environment(&mut node).env("ATLASHUB_TEST_CHROMIUM", chromium))
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
