//! Where Postgres's programs are on this machine.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use super::super::EmbeddedError;
use crate::{config::ConfigError, db::server::SUPPORTED_MAJORS};

const SERVER_PROGRAMS: [&str; 2] = ["postgres", "initdb"];

/// A folder with programs of one supported version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    pub folder: PathBuf,
    pub major: u32,
}

impl fmt::Display for Binaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Postgres {} in {}", self.major, self.folder.display())
    }
}

impl Binaries {
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

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
    let mut found: Vec<Binaries> = candidates(&SERVER_PROGRAMS)
        .into_iter()
        .filter_map(|folder| Some(Binaries { major: major_in(&folder)?, folder }))
        .filter(|binaries| SUPPORTED_MAJORS.contains(&binaries.major))
        .filter(|binaries| required_major.is_none_or(|required| required == binaries.major))
        .collect();
    // Stable: of one major, the place that was looked into first.
    found.sort_by_key(|binaries| std::cmp::Reverse(binaries.major));
    Ok(found.into_iter().next())
}

/// A folder with `pg_dump` and `pg_restore` that can dump a server of this major: its own or newer, the nearest
/// first. `preferred` is looked into before the usual places.
pub fn find_dump_programs(preferred: Option<&Path>, server_major: u32) -> Option<Binaries> {
    let mut found: Vec<Binaries> = preferred
        .map(Path::to_owned)
        .into_iter()
        .chain(candidates(&["pg_dump", "pg_restore"]))
        .filter_map(|folder| Some(Binaries { major: major_of(&folder, &["pg_dump", "pg_restore"])?, folder }))
        .filter(|binaries| binaries.major >= server_major)
        .collect();
    found.sort_by_key(|binaries| binaries.major);
    found.into_iter().next()
}

fn candidates(programs: &[&str]) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output()
        && output.status.success()
    {
        folders.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path));
    }
    for major in SUPPORTED_MAJORS.rev() {
        folders.push(format!("/usr/lib/postgresql/{major}/bin").into());
        folders.push(format!("/usr/pgsql-{major}/bin").into());
        folders.push(format!("/usr/libexec/postgresql{major}").into());
        folders.push(format!("/opt/homebrew/opt/postgresql@{major}/bin").into());
        folders.push(format!("/usr/local/opt/postgresql@{major}/bin").into());
    }
    folders.retain(|folder| programs.iter().all(|program| folder.join(program).is_file()));
    let mut seen = std::collections::HashSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    folders
}

/// The major of the server programs in a folder, by asking them.
pub(super) fn major_in(folder: &Path) -> Option<u32> {
    major_of(folder, &SERVER_PROGRAMS)
}

/// None where one is missing, does not run, or is of another major.
fn major_of(folder: &Path, programs: &[&str]) -> Option<u32> {
    let mut major = None;
    for program in programs {
        let output = Command::new(folder.join(program)).arg("--version").output().ok()?;
        let answer = output.status.success().then(|| parse_major(&String::from_utf8_lossy(&output.stdout)))??;
        if major.is_some_and(|major| major != answer) {
            return None;
        }
        major = Some(answer);
    }
    major
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` → 15.
pub fn parse_major(version: &str) -> Option<u32> {
    let number = version.split("(PostgreSQL) ").nth(1)?;
    number.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn majors_are_read_from_what_the_programs_say() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_major("initdb (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(parse_major("pg_dump (PostgreSQL) 17.2"), Some(17));
        assert_eq!(parse_major("mysqld 8"), None);
    }

    #[test]
    fn a_folder_without_postgres_is_refused_by_name() {
        let empty = tempfile::tempdir().unwrap();
        let error = find(Some(empty.path()), None).unwrap_err().to_string();
        assert!(error.starts_with("ATLASHUB_POSTGRES_BIN_DIR "), "{error}");
    }
}
