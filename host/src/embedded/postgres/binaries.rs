//! Finds the Postgres programs on this machine.

use std::path::Path;

use crate::{
    config::ConfigError,
    db::{programs, server::SUPPORTED_MAJORS},
    embedded::EmbeddedError,
};

pub use crate::db::programs::Binaries;

const SERVER_PROGRAMS: [&str; 2] = ["postgres", "initdb"];

/// Returns the configured folder, or else the newest supported version that is installed. `required_major` is the
/// version of an existing cluster. Returns `None` if nothing suitable is installed.
///
/// # Errors
/// Fails if the configured folder is unusable or has an unsuitable version.
pub fn find(configured: Option<&Path>, required_major: Option<u32>) -> Result<Option<Binaries>, EmbeddedError> {
    if let Some(folder) = configured {
        let config_error = |problem: String| {
            ConfigError::new(
                "ATLASHUB_POSTGRES_BIN_DIR",
                problem,
                "set it to the folder with `initdb` and `postgres`, for example /usr/lib/postgresql/17/bin",
            )
        };
        let shown = folder.display();
        let major = major_in(folder).ok_or_else(|| {
            config_error(format!("is `{shown}`, where `initdb` or `postgres` is missing or does not run"))
        })?;
        if !SUPPORTED_MAJORS.contains(&major) {
            return Err(
                config_error(format!("is `{shown}`, which has Postgres {major}; 15 to 18 are supported")).into()
            );
        }
        if let Some(required) = required_major
            && required != major
        {
            return Err(config_error(format!(
                "is `{shown}`, which has Postgres {major}, but the data folder was created by Postgres {required}"
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
    // The sort is stable: of several folders with the same major, the first candidate wins.
    found.sort_by_key(|binaries| std::cmp::Reverse(binaries.major));
    Ok(found.into_iter().next())
}

/// Runs the server programs in a folder and returns their major version.
pub(super) fn major_in(folder: &Path) -> Option<u32> {
    programs::major_of(folder, &SERVER_PROGRAMS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_folder_without_postgres_is_rejected_by_variable_name() {
        let empty = tempfile::tempdir().unwrap();
        let error = find(Some(empty.path()), None).unwrap_err().to_string();
        assert!(error.starts_with("ATLASHUB_POSTGRES_BIN_DIR "), "{error}");
    }
}
