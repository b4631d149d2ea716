//! Finds Postgres's programs on this machine and their versions.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use super::server::SUPPORTED_MAJORS;

/// A folder with Postgres programs of one version.
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
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Finds `pg_dump` and `pg_restore` for a server of the given major version.
///
/// Programs of the server's version or newer can dump its databases. The oldest of these is chosen, because the server
/// may not understand the SQL in archives of newer ones. `preferred` is searched in addition to the usual folders, and
/// its programs are preferred among those of the same version.
///
/// Blocks: runs the programs to determine their version.
pub fn find_dump_programs(preferred: Option<&Path>, server_major: u32) -> Option<Binaries> {
    let mut binaries: Vec<Binaries> = preferred
        .map(Path::to_owned)
        .into_iter()
        .chain(candidates(&["pg_dump", "pg_restore"]))
        .filter_map(|folder| Some(Binaries { major: major_of(&folder, &["pg_dump", "pg_restore"])?, folder }))
        .filter(|binaries| binaries.major >= server_major)
        .collect();
    binaries.sort_by_key(|binaries| binaries.major);
    binaries.into_iter().next()
}

/// Returns the folders that contain all of the given programs, in order of preference.
pub fn candidates(programs: &[&str]) -> Vec<PathBuf> {
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

/// Runs the programs of a folder to determine their major version. Returns `None` if one is missing or fails, or if
/// their versions differ.
pub fn major_of(folder: &Path, programs: &[&str]) -> Option<u32> {
    let mut major = None;
    for program in programs {
        let program_major = parse_major(&version_text(&folder.join(program))?)?;
        if major.is_some_and(|major| major != program_major) {
            return None;
        }
        major = Some(program_major);
    }
    major
}

/// Runs the program to determine its version, for example `15.14`.
pub fn version_of(program: &Path) -> Option<String> {
    parse_version(&version_text(program)?).map(str::to_owned)
}

fn version_text(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Parses the output of `--version`: `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` → 15.
pub fn parse_major(version: &str) -> Option<u32> {
    parse_version(version)?.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

fn parse_version(version: &str) -> Option<&str> {
    version.split("(PostgreSQL) ").nth(1)?.split_whitespace().next()
}

/// Returns a command that runs in the folder `/` and inherits only the variables for finding programs and libraries.
/// The rest of the environment may contain secrets.
pub fn clean_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().current_dir("/");
    for name in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_parsed_from_program_output() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_major("initdb (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(parse_major("pg_dump (PostgreSQL) 17.2"), Some(17));
        assert_eq!(parse_major("mysqld 8"), None);
        assert_eq!(parse_version("pg_dump (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some("15.14"));
    }
}
