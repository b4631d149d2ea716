//! Building for `wasm32-unknown-unknown`, which not every machine can.
//!
//! In this order: the target that the toolchain has; `rustup target add`; on Debian as root the distribution's `rustc-web`,
//! which carries the standard library's source and builds it once. What is built stays in the cache folder, so that a
//! fresh clone doesn't build the standard library and the dependencies again.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context, Result, bail};

use crate::{cache, process, setup};

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's compiler; `/usr/bin` also where the user's own comes first in `PATH`.
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];

/// How this machine builds for the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    /// With the toolchain in use.
    Toolchain,
    /// With Debian's compiler, and the standard library from its source.
    Debian,
}

/// A folder of builds that this process alone uses for a while: two clones would overwrite each other's files.
pub(crate) struct Builder {
    route: Route,
    folder: PathBuf,
    _lock: File,
}

impl Builder {
    /// Sets up what is missing, and waits for other builds.
    pub(crate) fn acquire() -> Result<Self> {
        let route = ensure()?;
        let folder = cache::folder()?.join("wasm32");
        fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
        let lock = folder.join("in-use.lock");
        let file = File::create(&lock).with_context(|| format!("can't write {}", lock.display()))?;
        if file.try_lock().is_err() {
            eprintln!("xtask: waiting for another build of plugins");
            file.lock().with_context(|| format!("can't lock {}", lock.display()))?;
        }
        Ok(Self { route, folder, _lock: file })
    }

    /// A `cargo rustc` that makes the library of a package a module, with what follows left to the caller.
    pub(crate) fn rustc(&self, manifest: &Path) -> Result<Command> {
        let mut command = match self.route {
            Route::Toolchain => process::cargo(),
            Route::Debian => {
                let mut command = Command::new(DEBIAN_CARGO);
                command.current_dir(process::workspace());
                command.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1").env_remove("LD_LIBRARY_PATH");
                command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker()?);
                command
            }
        };
        command.args(["rustc", "--quiet", "--lib", "--crate-type", "cdylib", "--release", "--target", TARGET]);
        if self.route == Route::Debian {
            command.arg("-Zbuild-std=std,panic_abort");
        }
        command.arg("--manifest-path").arg(manifest);
        command.env("CARGO_TARGET_DIR", &self.folder).env_remove("CARGO_ENCODED_RUSTFLAGS");
        // Flags for this machine's own processor mean nothing there; and nobody's home folder belongs into a component.
        command.env("RUSTFLAGS", format!("--remap-path-prefix={}=/cargo", cargo_home()?.display()));
        for (setting, value) in [
            ("OPT_LEVEL", "3"),
            ("LTO", "fat"),
            ("CODEGEN_UNITS", "1"),
            ("PANIC", "abort"),
            ("STRIP", "debuginfo"),
            ("DEBUG", "none"),
            ("INCREMENTAL", "false"),
        ] {
            command.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
        }
        Ok(command)
    }

    /// Where such a build leaves the module of a library.
    pub(crate) fn module(&self, library: &str) -> PathBuf {
        self.folder.join(TARGET).join("release").join(format!("{}.wasm", library.replace('-', "_")))
    }
}

/// Which compiler would build, in words for a stamp: another one builds anew.
pub(crate) fn describe() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| {
        let rustc = if toolchain_has_target() { rustc() } else { Command::new(DEBIAN_RUSTC) };
        version_of(rustc)
    })
}

fn ensure() -> Result<Route> {
    if toolchain_has_target() {
        return Ok(Route::Toolchain);
    }
    if debian_is_there() {
        return Ok(Route::Debian);
    }
    if process::find("rustup").is_some() {
        eprintln!("xtask: the Rust target {TARGET} is missing; adding it");
        if process::run(Command::new("rustup").args(["target", "add", TARGET])).is_ok() && toolchain_has_target() {
            return Ok(Route::Toolchain);
        }
        eprintln!("xtask: rustup can't fetch it here");
    }
    setup::apt_packages(DEBIAN_PACKAGES)
        .with_context(|| format!("plugins need the Rust target {TARGET}: add it with `rustup target add {TARGET}`"))?;
    if debian_is_there() {
        return Ok(Route::Debian);
    }
    bail!("the packages {} are there, but not the standard library's source", DEBIAN_PACKAGES.join(", "));
}

fn toolchain_has_target() -> bool {
    let output = rustc().args(["--print", "target-libdir", "--target", TARGET]).output();
    let Ok(output) = output else { return false };
    let folder = String::from_utf8_lossy(&output.stdout);
    let Ok(entries) = fs::read_dir(folder.trim()) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

fn debian_is_there() -> bool {
    let source = Path::new("/usr/lib/rustlib/src/rust/library/std/Cargo.toml");
    // `rustc-web` is a later version than the distribution's own `rustc`, which may be too old for us.
    let recent = version_of(Command::new(DEBIAN_RUSTC))
        .split_whitespace()
        .nth(1)
        .and_then(|version| version.split('.').nth(1)?.parse::<u32>().ok())
        .is_some_and(|minor| minor >= 95);
    recent && source.is_file() && Path::new(DEBIAN_CARGO).is_file()
}

fn rustc() -> Command {
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.current_dir(process::workspace());
    command
}

fn version_of(mut rustc: Command) -> String {
    let output = rustc.arg("--version").output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// The linker of the toolchain in use; Debian's compiler brings none for this target.
fn linker() -> Result<PathBuf> {
    let output = rustc().args(["--print", "sysroot"]).output().context("can't start rustc")?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let targets = fs::read_dir(sysroot.join("lib/rustlib")).into_iter().flatten().flatten();
    let bundled = targets.map(|target| target.path().join("bin/rust-lld")).find(|linker| linker.is_file());
    bundled
        .or_else(|| process::find("wasm-ld"))
        .context("there is no linker for WebAssembly: install the package `lld`, or a toolchain by rustup")
}

fn cargo_home() -> Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))).context("neither CARGO_HOME nor HOME is set")
}
