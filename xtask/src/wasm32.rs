//! Builds for `wasm32-unknown-unknown`.
//!
//! Plugins and the dashboard are built for this target, with the first of these compilers that is available:
//! 1. the current toolchain, if it has the target;
//! 2. Debian's package `rustc-web`, if it is installed, with the standard library built from source;
//! 3. the current toolchain, after `rustup target add`;
//! 4. `rustc-web`, after its installation, if this user is root on Debian.
//!
//! Build output is in the cache folder, so that a new clone does not compile the standard library and the dependencies
//! again.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context, Result, bail};

use crate::{cache, process, setup};

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's compiler. The path is absolute, because another `cargo` may come first in `PATH`.
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];

/// The compiler that builds for the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CompilerSource {
    /// The current toolchain.
    Toolchain,
    /// Debian's compiler, with the standard library built from source.
    Debian,
}

/// Whether a build of the dashboard is optimized for build time or for size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Optimization {
    Fast,
    Small,
}

/// Exclusive access to the build folder, so that builds of two clones don't overwrite each other's files.
pub(crate) struct Builder {
    compiler: CompilerSource,
    folder: PathBuf,
    _lock: File,
}

impl Builder {
    /// Installs a compiler for the target if there is none, and waits until no other build uses the folder.
    pub(crate) fn acquire() -> Result<Self> {
        let compiler = ensure_compiler()?;
        let folder = cache::folder()?.join("wasm32");
        fs::create_dir_all(&folder).with_context(|| format!("could not create {}", folder.display()))?;
        let lock = folder.join("in-use.lock");
        let file = File::create(&lock).with_context(|| format!("could not write {}", lock.display()))?;
        if file.try_lock().is_err() {
            eprintln!("xtask: waiting for another build for WebAssembly");
            file.lock().with_context(|| format!("could not lock {}", lock.display()))?;
        }
        Ok(Self { compiler, folder, _lock: file })
    }

    /// Returns a `cargo rustc` command that builds the library of a plugin as a core module.
    pub(crate) fn plugin(&self, manifest: &Path) -> Result<Command> {
        self.rustc(
            manifest,
            &[
                ("OPT_LEVEL", "3"),
                ("LTO", "fat"),
                ("CODEGEN_UNITS", "1"),
                ("STRIP", "debuginfo"),
                ("INCREMENTAL", "false"),
            ],
        )
    }

    /// Returns a `cargo rustc` command that builds the dashboard's module. The bundler removes its debug information.
    pub(crate) fn dashboard(&self, manifest: &Path, optimization: Optimization) -> Result<Command> {
        let settings: &[(&str, &str)] = match optimization {
            Optimization::Fast => &[
                ("OPT_LEVEL", "1"),
                ("LTO", "off"),
                ("CODEGEN_UNITS", "256"),
                ("STRIP", "none"),
                ("INCREMENTAL", "true"),
                // Half of the compile time after a change would otherwise be the expansion of `rsx!`.
                ("BUILD_OVERRIDE_OPT_LEVEL", "2"),
            ],
            Optimization::Small => &[
                ("OPT_LEVEL", "z"),
                ("LTO", "fat"),
                ("CODEGEN_UNITS", "1"),
                ("STRIP", "none"),
                ("INCREMENTAL", "false"),
            ],
        };
        let mut command = self.rustc(manifest, settings)?;
        if optimization == Optimization::Small {
            // The bundler splits the module. It finds the dependencies of each function in the relocations.
            command.args(["--", "-Clink-args=--emit-relocs"]);
        }
        Ok(command)
    }

    fn rustc(&self, manifest: &Path, settings: &[(&str, &str)]) -> Result<Command> {
        let mut command = match self.compiler {
            CompilerSource::Toolchain => process::cargo(),
            CompilerSource::Debian => {
                let mut command = Command::new(DEBIAN_CARGO);
                command.current_dir(process::workspace());
                command.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1").env_remove("LD_LIBRARY_PATH");
                command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker()?);
                command
            }
        };
        command.args(["rustc", "--quiet", "--lib", "--crate-type", "cdylib", "--release", "--target", TARGET]);
        if self.compiler == CompilerSource::Debian {
            command.arg("-Zbuild-std=std,panic_abort");
        }
        command.arg("--manifest-path").arg(manifest);
        command.env("CARGO_TARGET_DIR", &self.folder).env_remove("CARGO_ENCODED_RUSTFLAGS");
        // Flags for this machine's processor don't apply to WebAssembly. Remapping keeps the path of the home folder
        // out of the component.
        command.env("RUSTFLAGS", format!("--remap-path-prefix={}=/cargo", cargo_home()?.display()));
        for (setting, value) in settings.iter().chain(&[("PANIC", "abort"), ("DEBUG", "none")]) {
            command.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
        }
        Ok(command)
    }

    /// Returns the path of the module that these commands build.
    pub(crate) fn module_path(&self, library: &str) -> PathBuf {
        self.folder.join(TARGET).join("release").join(format!("{}.wasm", library.replace('-', "_")))
    }
}

/// Returns the version of the compiler that would be used. Plugins and the dashboard are rebuilt when it changes.
pub(crate) fn compiler_version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| {
        let rustc = if toolchain_has_target() { rustc() } else { Command::new(DEBIAN_RUSTC) };
        rustc_version(rustc)
    })
}

fn ensure_compiler() -> Result<CompilerSource> {
    if toolchain_has_target() {
        return Ok(CompilerSource::Toolchain);
    }
    if has_debian_compiler() {
        return Ok(CompilerSource::Debian);
    }
    if process::find_program("rustup").is_some() {
        eprintln!("xtask: adding the missing Rust target {TARGET}");
        if process::run(Command::new("rustup").args(["target", "add", TARGET])).is_ok() && toolchain_has_target() {
            return Ok(CompilerSource::Toolchain);
        }
        eprintln!("xtask: rustup could not download the target");
    }
    setup::install_apt_packages(DEBIAN_PACKAGES).with_context(|| {
        format!("Plugins and dashboard need the Rust target {TARGET}. Add it with `rustup target add {TARGET}`.")
    })?;
    if has_debian_compiler() {
        return Ok(CompilerSource::Debian);
    }
    bail!(
        "The packages {} are installed, but they are older than Rust 1.95, or lack the source of the standard library. \
         Install Rust with rustup, and add the target with `rustup target add {TARGET}`.",
        DEBIAN_PACKAGES.join(", ")
    );
}

fn toolchain_has_target() -> bool {
    let output = rustc().args(["--print", "target-libdir", "--target", TARGET]).output();
    let Ok(output) = output else { return false };
    let folder = String::from_utf8_lossy(&output.stdout);
    let Ok(entries) = fs::read_dir(folder.trim()) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

fn has_debian_compiler() -> bool {
    let source = Path::new("/usr/lib/rustlib/src/rust/library/std/Cargo.toml");
    // `rustc-web` is newer than the distribution's `rustc`, which may be too old.
    let is_recent = rustc_version(Command::new(DEBIAN_RUSTC))
        .split_whitespace()
        .nth(1)
        .and_then(|version| version.split('.').nth(1)?.parse::<u32>().ok())
        .is_some_and(|minor| minor >= 95);
    is_recent && source.is_file() && Path::new(DEBIAN_CARGO).is_file()
}

fn rustc() -> Command {
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.current_dir(process::workspace());
    command
}

fn rustc_version(mut rustc: Command) -> String {
    let output = rustc.arg("--version").output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// Returns the linker of the current toolchain, or else `wasm-ld` in `PATH`. Debian's compiler has no linker for this
/// target.
fn linker() -> Result<PathBuf> {
    let output = rustc().args(["--print", "sysroot"]).output().context("could not start rustc")?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let targets = fs::read_dir(sysroot.join("lib/rustlib")).into_iter().flatten().flatten();
    let bundled = targets.map(|target| target.path().join("bin/rust-lld")).find(|linker| linker.is_file());
    bundled
        .or_else(|| process::find_program("wasm-ld"))
        .context("There is no linker for WebAssembly. Install the package `lld`, or a toolchain with rustup.")
}

fn cargo_home() -> Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))).context("Neither CARGO_HOME nor HOME is set.")
}
