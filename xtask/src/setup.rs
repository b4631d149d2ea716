//! The tools that commands need, how to detect them, and how to install them.
//!
//! If this program runs as root on Debian or a derived system, it installs missing tools. Elsewhere it prints the
//! command that installs them. Detection takes milliseconds, so every command detects its tools each time.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::{process, promtool, python_client};

/// A tool that a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    /// Compiles the crates that contain C.
    CCompiler,
    /// Generates the bindings of Postgres's parser.
    LibClang,
    /// `initdb`, `postgres` and `pg_dump`, for the embedded Postgres and the tests.
    PostgresServer,
    /// The baseline that benchmarks compare with.
    Pgbench,
    /// Builds and tests the dashboard, runs the TypeScript examples of the documents, generates clients, and installs
    /// programs from npm.
    Node,
    /// Runs the commands of the quickstart.
    Curl,
    /// Opens encrypted backups.
    Age,
    /// Installs and runs programs from PyPI, such as the generator of a Python client and Schemathesis.
    Python,
    /// Runs the dashboard's tests and measurements.
    Chromium,
    /// `rustfmt` and `clippy`.
    RustLints,
}

const ALL_TOOLS: &[Tool] = &[
    Tool::CCompiler,
    Tool::LibClang,
    Tool::PostgresServer,
    Tool::Pgbench,
    Tool::Node,
    Tool::Curl,
    Tool::Age,
    Tool::Python,
    Tool::Chromium,
    Tool::RustLints,
];

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::CCompiler => "a C compiler",
            Self::LibClang => "libclang",
            Self::PostgresServer => "a Postgres server (15 or newer)",
            Self::Pgbench => "pgbench",
            Self::Node => "Node.js with npm",
            Self::Curl => "curl",
            Self::Age => "age",
            Self::Python => "Python 3 with venv",
            Self::Chromium => "Chromium",
            Self::RustLints => "rustfmt and clippy",
        }
    }

    fn is_installed(self) -> bool {
        match self {
            Self::CCompiler => {
                cfg!(target_env = "msvc") || ["cc", "gcc", "clang"].iter().any(|c| process::find_program(c).is_some())
            }
            Self::LibClang => is_libclang_installed(),
            Self::PostgresServer => {
                // The server programs, not only the client package.
                postgres_folders().iter().any(|folder| has_program(folder, "initdb") && has_program(folder, "postgres"))
            }
            Self::Pgbench => pgbench_folder().is_some(),
            Self::Node => process::find_program("node").is_some() && npm().is_some(),
            Self::Curl => process::find_program("curl").is_some(),
            Self::Age => process::find_program("age").is_some(),
            Self::Python => {
                process::succeeds(std::process::Command::new("python3").args(["-c", "import venv, ensurepip"]))
            }
            Self::Chromium => chromium().is_some(),
            Self::RustLints => {
                process::succeeds(process::cargo().args(["fmt", "--version"]))
                    && process::succeeds(process::cargo().args(["clippy", "--version"]))
            }
        }
    }

    fn packages(self, manager: PackageManager) -> &'static [&'static str] {
        match (self, manager) {
            (Self::CCompiler, PackageManager::Apt) => &["gcc", "g++", "libc6-dev", "make"],
            (Self::CCompiler, PackageManager::Dnf) => &["gcc", "gcc-c++", "make"],
            (Self::CCompiler, PackageManager::Brew) => &["llvm"],
            (Self::CCompiler, PackageManager::Winget) => &["Microsoft.VisualStudio.2022.BuildTools"],
            (Self::LibClang, PackageManager::Apt) => &["libclang-dev"],
            (Self::LibClang, PackageManager::Dnf) => &["clang-devel"],
            (Self::LibClang, PackageManager::Brew) => &["llvm"],
            (Self::LibClang, PackageManager::Winget) => &["LLVM.LLVM"],
            (Self::PostgresServer, PackageManager::Apt) => &["postgresql"],
            (Self::PostgresServer, PackageManager::Dnf) => &["postgresql-server"],
            (Self::PostgresServer | Self::Pgbench, PackageManager::Brew) => &["postgresql@17"],
            (Self::PostgresServer | Self::Pgbench, PackageManager::Winget) => &["PostgreSQL.PostgreSQL.17"],
            (Self::Pgbench, PackageManager::Apt | PackageManager::Dnf) => &["postgresql-contrib"],
            (Self::Node, PackageManager::Winget) => &["OpenJS.NodeJS.LTS"],
            (Self::Node, PackageManager::Brew) => &["node"],
            (Self::Node, _) => &["nodejs", "npm"],
            (Self::Curl, PackageManager::Winget) => &["cURL.cURL"],
            (Self::Curl, _) => &["curl"],
            (Self::Age, PackageManager::Winget) => &["FiloSottile.age"],
            (Self::Age, _) => &["age"],
            (Self::Python, PackageManager::Apt) => &["python3", "python3-venv"],
            (Self::Python, PackageManager::Winget) => &["Python.Python.3.13"],
            (Self::Python, _) => &["python3"],
            (Self::Chromium, PackageManager::Winget) => &["Hibbiki.Chromium"],
            (Self::Chromium, _) => &["chromium"],
            // Installed by rustup.
            (Self::RustLints, _) => &[],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PackageManager {
    Apt,
    Dnf,
    Brew,
    Winget,
}

impl PackageManager {
    fn detect() -> Option<Self> {
        [("apt-get", Self::Apt), ("dnf", Self::Dnf), ("brew", Self::Brew), ("winget", Self::Winget)]
            .into_iter()
            .find(|(program, _)| process::find_program(program).is_some())
            .map(|(_, manager)| manager)
    }

    fn install_command(self, packages: &[&str]) -> String {
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

/// Ensures that the tools of all commands are installed.
pub(crate) fn ensure_all() -> Result<()> {
    ensure(ALL_TOOLS)?;
    ensure_test_tools()?;
    eprintln!("xtask: all tools are installed");
    Ok(())
}

/// Installs the tools of the tests that are not system packages, if they are missing: npm packages, a Python program,
/// and promtool.
pub(crate) fn ensure_test_tools() -> Result<()> {
    install_node_modules("docs/examples")?;
    install_node_modules("host/tests/clients")?;
    python_client::ensure()?;
    promtool::ensure()
}

/// Installs those of `tools` that are missing, if this user is root on Debian or a derived system. Missing `rustfmt`
/// and `clippy` are installed with rustup, which does not need root.
///
/// # Errors
/// Fails if another tool is missing and this user is not root on such a system. The error names the missing tools and
/// how to install them.
pub(crate) fn ensure(tools: &[Tool]) -> Result<()> {
    let missing: Vec<Tool> = tools.iter().copied().filter(|tool| !tool.is_installed()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = |tools: &[Tool]| tools.iter().map(|tool| tool.name()).collect::<Vec<_>>().join(", ");
    eprintln!("xtask: missing: {}", names(&missing));
    if missing.contains(&Tool::RustLints) {
        process::run(Command::new("rustup").args(["component", "add", "rustfmt", "clippy"]))?;
    }
    // The other tools come from the package manager of the system.
    let missing: Vec<Tool> = missing.into_iter().filter(|tool| *tool != Tool::RustLints).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let manager = PackageManager::detect();
    let packages = packages_of(&missing, manager);
    match manager {
        Some(PackageManager::Apt) if is_root() => {
            run_apt_install(&packages)?;
        }
        Some(manager) => bail!("Install {} with\n\n    {}\n", names(&missing), manager.install_command(&packages)),
        None => {
            bail!("Install {} with the package manager of this system, then run the command again.", names(&missing))
        }
    }
    let still_missing: Vec<Tool> = missing.into_iter().filter(|tool| !tool.is_installed()).collect();
    if !still_missing.is_empty() {
        bail!("Could not find {} after installing {}.", names(&still_missing), packages.join(" "));
    }
    Ok(())
}

/// Installs the npm packages of a folder if they are missing, or its lock file is newer than they are.
pub(crate) fn install_node_modules(folder: &str) -> Result<()> {
    let folder = process::workspace().join(folder);
    let modified = |file: PathBuf| file.metadata().and_then(|metadata| metadata.modified()).ok();
    let required = modified(folder.join("package-lock.json"));
    // npm writes this file last.
    let installed = modified(folder.join("node_modules/.package-lock.json"));
    if installed.is_some() && installed >= required {
        return Ok(());
    }
    let Some(npm) = npm() else { bail!("Could not find npm. Install Node.js with npm.") };
    process::run(Command::new(npm).current_dir(&folder).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]))
}

/// Finds Chromium, or Chrome.
pub(crate) fn chromium() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let macos = Path::new("/Applications/Chromium.app/Contents/MacOS/Chromium");
    names.iter().find_map(|name| process::find_program(name)).or_else(|| macos.is_file().then(|| macos.to_path_buf()))
}

/// Finds npm, which is a script with another name on Windows.
pub(crate) fn npm() -> Option<PathBuf> {
    if cfg!(windows) { process::find_file("npm.cmd") } else { process::find_program("npm") }
}

fn packages_of(tools: &[Tool], manager: Option<PackageManager>) -> Vec<&'static str> {
    let mut packages: Vec<_> = manager
        .into_iter()
        .flat_map(|manager| tools.iter().flat_map(move |tool| tool.packages(manager)))
        .copied()
        .collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Installs Debian packages, if this user is root.
///
/// # Errors
/// Fails for other users, with the command that installs the packages, and on systems without `apt-get`.
pub(crate) fn install_apt_packages(packages: &[&str]) -> Result<()> {
    match PackageManager::detect() {
        Some(PackageManager::Apt) if is_root() => run_apt_install(packages),
        Some(PackageManager::Apt) => {
            bail!("Or install Debian's compiler with\n\n    {}\n", PackageManager::Apt.install_command(packages))
        }
        _ => bail!("There is no other way to install it on this system."),
    }
}

fn run_apt_install(packages: &[&str]) -> Result<()> {
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    process::run(apt().args(["update", "-q"]))?;
    process::run(apt().args(["install", "-y", "-q", "--no-install-recommends"]).args(packages))
}

/// Returns whether the user is root. Calls `id`, because the standard library has no function for this.
fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn has_program(folder: &Path, program: &str) -> bool {
    folder.join(format!("{program}{}", std::env::consts::EXE_SUFFIX)).is_file()
}

/// Finds the folder of `pgbench`, which may not be in `PATH`.
pub(crate) fn pgbench_folder() -> Option<PathBuf> {
    postgres_folders().into_iter().find(|folder| has_program(folder, "pgbench"))
}

/// Returns the folders in which Postgres's programs may be, the preferred ones first.
fn postgres_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::env::var_os("ATLASHUB_POSTGRES_BIN_DIR").map(PathBuf::from).into_iter().collect();
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path));
    }
    for (parent, prefix, subfolder) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/usr/local", "pgsql", "bin"),
        ("/opt/homebrew/opt", "postgresql", "bin"),
        ("/usr/local/opt", "postgresql", "bin"),
        ("C:\\Program Files\\PostgreSQL", "", "bin"),
    ] {
        folders.extend(children(Path::new(parent), prefix).map(|folder| folder.join(subfolder)));
    }
    folders
}

fn is_libclang_installed() -> bool {
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
    // The runtime library (`libclang.so.1`) is not enough, because the bindings need the compiler's headers too.
    let names = ["libclang.so", "libclang.dylib", "libclang.dll"];
    folders.iter().any(|folder| {
        names.iter().any(|name| folder.join(name).is_file())
            || children(folder, "libclang-1")
                .chain(children(folder, "libclang-2"))
                .any(|file| file.extension().is_some_and(|extension| extension == "so"))
    })
}

/// Returns the entries of a folder whose name starts with `prefix`. A missing folder has no entries.
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
        for tool in ALL_TOOLS.iter().filter(|&&tool| tool != Tool::RustLints) {
            for manager in [PackageManager::Apt, PackageManager::Dnf, PackageManager::Brew, PackageManager::Winget] {
                assert!(!tool.packages(manager).is_empty(), "{tool:?} on {manager:?}");
            }
        }
    }

    #[test]
    fn package_shared_by_two_tools_is_listed_once() {
        let packages = packages_of(&[Tool::PostgresServer, Tool::Pgbench], Some(PackageManager::Brew));
        assert_eq!(packages, ["postgresql@17"]);
        assert_eq!(
            PackageManager::Apt.install_command(&["curl", "nodejs"]),
            "sudo apt-get update && sudo apt-get install -y --no-install-recommends curl nodejs"
        );
    }

    #[test]
    fn missing_folder_has_no_children() {
        assert_eq!(children(Path::new("/nonexistent"), "").count(), 0);
    }
}
