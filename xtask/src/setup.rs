//! What the commands need on the machine, how to see that it is there, and how to get it.
//!
//! On Debian and its kin as root it is installed; elsewhere the one command to run is printed. Looking costs
//! milliseconds, so every command looks every time.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::process;

/// Something that a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    /// For the crates with C in them.
    CCompiler,
    /// Postgres's grammar is bound through it.
    LibClang,
    /// `initdb`, `postgres`, `pg_dump`: the embedded default and the tests run their own.
    PostgresServer,
    /// The benches' floor.
    Pgbench,
    /// Runs the documents' TypeScript.
    Node,
    /// Runs the quickstart's lines.
    Curl,
    /// Runs Schemathesis.
    Python,
    /// `rustfmt` and `clippy`.
    RustLints,
}

const ALL: &[Tool] =
    &[Tool::CCompiler, Tool::LibClang, Tool::PostgresServer, Tool::Pgbench, Tool::Node, Tool::Curl, Tool::RustLints];

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::CCompiler => "a C compiler",
            Self::LibClang => "libclang",
            Self::PostgresServer => "a Postgres server (15 or newer)",
            Self::Pgbench => "pgbench",
            Self::Node => "Node.js with npm",
            Self::Curl => "curl",
            Self::Python => "Python 3 with venv",
            Self::RustLints => "rustfmt and clippy",
        }
    }

    fn is_there(self) -> bool {
        match self {
            Self::CCompiler => {
                cfg!(target_env = "msvc") || ["cc", "gcc", "clang"].iter().any(|c| process::find(c).is_some())
            }
            Self::LibClang => libclang_is_there(),
            Self::PostgresServer => {
                // The server itself, not the client package alone.
                postgres_folders().iter().any(|folder| has(folder, "initdb") && has(folder, "postgres"))
            }
            Self::Pgbench => pgbench_folder().is_some(),
            Self::Node => process::find("node").is_some() && npm().is_some(),
            Self::Curl => process::find("curl").is_some(),
            Self::Python => {
                process::succeeds(std::process::Command::new("python3").args(["-c", "import venv, ensurepip"]))
            }
            Self::RustLints => {
                process::succeeds(process::cargo().args(["fmt", "--version"]))
                    && process::succeeds(process::cargo().args(["clippy", "--version"]))
            }
        }
    }

    fn packages(self, manager: Manager) -> &'static [&'static str] {
        match (self, manager) {
            (Self::CCompiler, Manager::Apt) => &["gcc", "g++", "libc6-dev", "make"],
            (Self::CCompiler, Manager::Dnf) => &["gcc", "gcc-c++", "make"],
            (Self::CCompiler, Manager::Brew) => &["llvm"],
            (Self::CCompiler, Manager::Winget) => &["Microsoft.VisualStudio.2022.BuildTools"],
            (Self::LibClang, Manager::Apt) => &["libclang-dev"],
            (Self::LibClang, Manager::Dnf) => &["clang-devel"],
            (Self::LibClang, Manager::Brew) => &["llvm"],
            (Self::LibClang, Manager::Winget) => &["LLVM.LLVM"],
            (Self::PostgresServer, Manager::Apt) => &["postgresql"],
            (Self::PostgresServer, Manager::Dnf) => &["postgresql-server"],
            (Self::PostgresServer | Self::Pgbench, Manager::Brew) => &["postgresql@17"],
            (Self::PostgresServer | Self::Pgbench, Manager::Winget) => &["PostgreSQL.PostgreSQL.17"],
            (Self::Pgbench, Manager::Apt | Manager::Dnf) => &["postgresql-contrib"],
            (Self::Node, Manager::Winget) => &["OpenJS.NodeJS.LTS"],
            (Self::Node, Manager::Brew) => &["node"],
            (Self::Node, _) => &["nodejs", "npm"],
            (Self::Curl, Manager::Winget) => &["cURL.cURL"],
            (Self::Curl, _) => &["curl"],
            (Self::Python, Manager::Apt) => &["python3", "python3-venv"],
            (Self::Python, Manager::Winget) => &["Python.Python.3.13"],
            (Self::Python, _) => &["python3"],
            // Not the system's business: rustup has them.
            (Self::RustLints, _) => &[],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manager {
    Apt,
    Dnf,
    Brew,
    Winget,
}

impl Manager {
    fn of_this_machine() -> Option<Self> {
        [("apt-get", Self::Apt), ("dnf", Self::Dnf), ("brew", Self::Brew), ("winget", Self::Winget)]
            .into_iter()
            .find(|(program, _)| process::find(program).is_some())
            .map(|(_, manager)| manager)
    }

    fn install_line(self, packages: &[&str]) -> String {
        let packages = packages.join(" ");
        match self {
            Self::Apt => {
                format!("sudo apt-get update && sudo apt-get install -y --no-install-recommends {packages}")
            }
            Self::Dnf => format!("sudo dnf install -y {packages}"),
            Self::Brew => format!("brew install {packages}"),
            Self::Winget => format!("winget install {packages}"),
        }
    }
}

/// Everything that any command needs.
pub(crate) fn everything() -> Result<()> {
    ensure(ALL)?;
    node_modules("docs/examples")?;
    eprintln!("xtask: everything is there");
    Ok(())
}

/// Sees to it that all of `tools` are there, or says what to do.
pub(crate) fn ensure(tools: &[Tool]) -> Result<()> {
    let missing: Vec<Tool> = tools.iter().copied().filter(|tool| !tool.is_there()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = |tools: &[Tool]| tools.iter().map(|tool| tool.name()).collect::<Vec<_>>().join(", ");
    eprintln!("xtask: missing: {}", names(&missing));
    if missing.contains(&Tool::RustLints) {
        process::run(Command::new("rustup").args(["component", "add", "rustfmt", "clippy"]))?;
    }
    let manager = Manager::of_this_machine();
    let packages = packages_of(&missing, manager);
    if packages.is_empty() && manager.is_some() {
        return Ok(());
    }
    match manager {
        Some(Manager::Apt) if is_root() => {
            install_with_apt(&packages)?;
        }
        Some(manager) => bail!("install {} with\n\n    {}\n", names(&missing), manager.install_line(&packages)),
        None => bail!("install {} with the system's package manager, then run this again", names(&missing)),
    }
    let still: Vec<Tool> = missing.into_iter().filter(|tool| !tool.is_there()).collect();
    if !still.is_empty() {
        bail!("{} can't be found even after the installation of {}", names(&still), packages.join(" "));
    }
    Ok(())
}

/// Installs what a folder's lock file names, unless that is there already.
pub(crate) fn node_modules(folder: &str) -> Result<()> {
    let folder = process::workspace().join(folder);
    let modified = |file: PathBuf| file.metadata().and_then(|metadata| metadata.modified()).ok();
    let wanted = modified(folder.join("package-lock.json"));
    // npm writes it last.
    let installed = modified(folder.join("node_modules/.package-lock.json"));
    if installed.is_some() && installed >= wanted {
        return Ok(());
    }
    let Some(npm) = npm() else { bail!("npm can't be found; install Node.js with npm") };
    process::run(Command::new(npm).current_dir(&folder).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]))
}

/// npm is a script, with another name on Windows.
pub(crate) fn npm() -> Option<PathBuf> {
    if cfg!(windows) { process::find_named("npm.cmd") } else { process::find("npm") }
}

fn packages_of(tools: &[Tool], manager: Option<Manager>) -> Vec<&'static str> {
    let mut packages: Vec<_> = manager
        .into_iter()
        .flat_map(|manager| tools.iter().flat_map(move |tool| tool.packages(manager)))
        .copied()
        .collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Installs packages where that can be done without asking; says how where it can't.
pub(crate) fn apt_packages(packages: &[&str]) -> Result<()> {
    match Manager::of_this_machine() {
        Some(Manager::Apt) if is_root() => install_with_apt(packages),
        Some(Manager::Apt) => bail!("or install their source with\n\n    {}\n", Manager::Apt.install_line(packages)),
        _ => bail!("there is no other way to get it on this system"),
    }
}

fn install_with_apt(packages: &[&str]) -> Result<()> {
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    process::run(apt().args(["update", "-q"]))?;
    process::run(apt().args(["install", "-y", "-q", "--no-install-recommends"]).args(packages))
}

/// Only root may write there; asking the system for the user's number needs more than the standard library.
fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn has(folder: &Path, program: &str) -> bool {
    folder.join(format!("{program}{}", std::env::consts::EXE_SUFFIX)).is_file()
}

/// The folder of `pgbench`, which need not be in `PATH`.
pub(crate) fn pgbench_folder() -> Option<PathBuf> {
    postgres_folders().into_iter().find(|folder| has(folder, "pgbench"))
}

/// Where Postgres's programs may be.
fn postgres_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::env::var_os("ATLASHUB_POSTGRES_BIN_DIR").map(PathBuf::from).into_iter().collect();
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path));
    }
    for (parent, prefix, below) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/usr/local", "pgsql", "bin"),
        ("/opt/homebrew/opt", "postgresql", "bin"),
        ("/usr/local/opt", "postgresql", "bin"),
        ("C:\\Program Files\\PostgreSQL", "", "bin"),
    ] {
        folders.extend(children(Path::new(parent), prefix).map(|folder| folder.join(below)));
    }
    folders
}

fn libclang_is_there() -> bool {
    if std::env::var_os("LIBCLANG_PATH").is_some() {
        return true;
    }
    let mut folders: Vec<PathBuf> = [
        "/usr/lib",
        "/usr/lib64",
        "/usr/local/lib",
        "/Library/Developer/CommandLineTools/usr/lib",
        "/Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib",
        "/opt/homebrew/opt/llvm/lib",
        "/usr/local/opt/llvm/lib",
        "C:\\Program Files\\LLVM\\bin",
    ]
    .map(PathBuf::from)
    .to_vec();
    folders.extend(children(Path::new("/usr/lib"), "llvm").map(|folder| folder.join("lib")));
    folders.extend(children(Path::new("/usr/lib"), std::env::consts::ARCH));
    // A runtime library alone (`libclang.so.1`) lacks the compiler's own headers, which the bindings need too.
    let names = ["libclang.so", "libclang.dylib", "libclang.dll"];
    folders.iter().any(|folder| {
        names.iter().any(|name| folder.join(name).is_file())
            || children(folder, "libclang-1")
                .chain(children(folder, "libclang-2"))
                .any(|file| file.extension().is_some_and(|extension| extension == "so"))
    })
}

/// Entries of a folder whose name starts with `prefix`; none where there is no such folder.
fn children(folder: &Path, prefix: &str) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_packages_on_every_system() {
        for tool in ALL.iter().filter(|&&tool| tool != Tool::RustLints) {
            for manager in [Manager::Apt, Manager::Dnf, Manager::Brew, Manager::Winget] {
                assert!(!tool.packages(manager).is_empty(), "{tool:?} on {manager:?}");
            }
        }
    }

    #[test]
    fn a_package_that_two_tools_share_is_named_once() {
        let packages = packages_of(&[Tool::PostgresServer, Tool::Pgbench], Some(Manager::Brew));
        assert_eq!(packages, ["postgresql@17"]);
        assert_eq!(
            Manager::Apt.install_line(&["curl", "nodejs"]),
            "sudo apt-get update && sudo apt-get install -y --no-install-recommends curl nodejs"
        );
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_children() {
        assert_eq!(children(Path::new("/nonexistent"), "").count(), 0);
    }
}
