//! Finds promtool, which checks the format of metrics, in `PATH`, or extracts it from Debian's package into the cache
//! folder. The package itself is not installed, because it would start a Prometheus server.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};

use crate::{cache, process};

/// Ensures that the program exists.
pub(crate) fn ensure() -> Result<()> {
    if process::find_program("promtool").is_some() {
        return Ok(());
    }
    let folder = cache::folder()?.join("promtool");
    if folder.join("promtool").is_file() {
        return Ok(());
    }
    if process::find_program("apt-get").is_none() || process::find_program("dpkg-deb").is_none() {
        bail!("Install promtool. It is part of Prometheus: https://prometheus.io/download/");
    }
    let download = folder.join("download");
    fs::create_dir_all(&download).with_context(|| format!("could not create {}", download.display()))?;
    // The update needs root, but is only necessary if the package lists are missing or old. So ignore its failure.
    let _ = process::succeeds(Command::new("apt-get").args(["update", "-q"]));
    process::run(Command::new("apt-get").current_dir(&download).args(["download", "-q", "prometheus"]))?;
    let package = package_in(&download)?;
    process::run(Command::new("dpkg-deb").arg("--extract").arg(package).arg(&download))?;
    fs::rename(download.join("usr/bin/promtool"), folder.join("promtool"))
        .context("Debian's package `prometheus` does not contain promtool")?;
    fs::remove_dir_all(&download).with_context(|| format!("could not remove {}", download.display()))
}

fn package_in(folder: &std::path::Path) -> Result<PathBuf> {
    let files = fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))?;
    let mut packages =
        files.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "deb"));
    packages.next().context("apt-get downloaded no package")
}
