//! Where Postgres's programs are on this machine.

use std::path::Path;

use super::super::EmbeddedError;
use crate::{
    config::ConfigError,
    db::{programs, server::SUPPORTED_MAJORS},
};

pub use crate::db::programs::Binaries;

const SERVER_PROGRAMS: [&str; 2] = ["postgres", "initdb"];

/// The folder that was configured, else the newest supported version there is; where a cluster exists, only
/// its own major will do. None where nothing fits.
pub fn find(configured: Option<&Path>, required_major: Option<u32>) -> Result<Option<Binaries>, EmbeddedError> {
    if let Some(folder) = configured {
        let wrong = |problem: String| {
            ConfigError::new(
                "ATLASHUB_POSTGRES_BIN_DIR",
                problem,
                "set it to the folder that has `initdb` and `postgres`, for example /usr/lib/postgresql/17/bin",
            )
        };
        let shown = folder.display();
        let major = major_in(folder)
            .ok_or_else(|| wrong(format!("is `{shown}`, where `initdb` or `postgres` is missing or does not run")))?;
        if !SUPPORTED_MAJORS.contains(&major) {
            return Err(wrong(format!("is `{shown}`, which has Postgres {major}; 15 to 18 are supported")).into());
        }
        if let Some(required) = required_major
            && required != major
        {
            return Err(wrong(format!(
                "is `{shown}`, which has Postgres {major}, while the data folder was made by Postgres {required}"
            ))
            .into());
        }
        return Ok(Some(Binaries { folder: folder.to_owned(), major }));
    }
    let mut found: Vec<Binaries> = programs::candidates(&SERVER_PROGRAMS)
        .into_iter()
        .filter_map(|folder| Some(Binaries { major: major_in(&folder)?, folder }))
        .filter(|binaries| SUPPORTED_MAJORS.contains(&binaries.major))
        .filter(|binaries| required_major.is_none_or(|required| required == binaries.major))
        .collect();
    // Stable: of one major, the place that was looked into first.
    found.sort_by_key(|binaries| std::cmp::Reverse(binaries.major));
    Ok(found.into_iter().next())
}

/// The major of the server programs in a folder, by asking them.
pub(super) fn major_in(folder: &Path) -> Option<u32> {
    programs::major_of(folder, &SERVER_PROGRAMS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_postgres_is_refused_by_name() {
        let empty = tempfile::tempdir().unwrap();
        let error = find(Some(empty.path()), None).unwrap_err().to_string();
        assert!(error.starts_with("ATLASHUB_POSTGRES_BIN_DIR "), "{error}");
    }
}
