//! Runs esbuild and Tailwind, and reads fonts, from the installed npm packages.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::Profile;

/// Returns the path of a file of an npm package.
pub(crate) fn package_file(dashboard: &Path, file: &str) -> PathBuf {
    dashboard.join("node_modules").join(file)
}

/// Runs a program. Fails with its output if it does not succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("could not start {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// The characters that a font contains in a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Letters {
    /// Characters that nearly every page needs.
    Common,
    /// All other characters that the dashboard uses.
    Other,
    /// [`Letters::Common`] and [`Letters::Other`].
    All,
}

/// Returns a variable font in the format WOFF2. In a release, it contains only the characters in `letters`, in the
/// weights that the dashboard uses. In development, it contains all characters and weights.
pub(crate) fn font(dashboard: &Path, work: &Path, name: &str, letters: Letters, profile: Profile) -> Result<Vec<u8>> {
    let font = package_file(dashboard, &format!("@fontsource-variable/{name}/files/{name}-latin-wght-normal.woff2"));
    if profile == Profile::Dev {
        return read(&font);
    }
    let smaller = work.join(format!("{name}.woff2"));
    let letters = match letters {
        Letters::Common => "common",
        Letters::Other => "other",
        Letters::All => "all",
    };
    run(Command::new("node").arg(dashboard.join("bundler/font.mjs")).arg(&font).arg(&smaller).arg(letters))?;
    read(&smaller)
}

/// Compiles a file of the folder `style` with Tailwind.
pub(crate) fn styles(dashboard: &Path, work: &Path, entry: &str, profile: Profile) -> Result<String> {
    let output = work.join(entry);
    let mut tailwind = Command::new("node");
    tailwind.arg(package_file(dashboard, "@tailwindcss/cli/dist/index.mjs")).current_dir(dashboard);
    tailwind.arg("-i").arg(Path::new("style").join(entry)).arg("-o").arg(&output);
    if profile == Profile::Release {
        tailwind.arg("--minify");
    }
    run(&mut tailwind)?;
    read_text(&output)
}

/// Bundles the script that loads the modules, with the bindings of the first module. `parts` are the other modules:
/// name, URL, and the names of the modules that must be loaded first.
pub(crate) fn start_script(
    dashboard: &Path,
    work: &Path,
    wasm_url: &str,
    page_style_url: &str,
    parts: &[(String, String, Vec<String>)],
) -> Result<String> {
    let parts: Vec<String> =
        parts.iter().map(|(name, url, needs)| format!("{name}:{{url:{url:?},needs:{needs:?}}}")).collect();
    let parts = format!("{{{}}}", parts.join(","));
    let entry = work.join("start.js");
    let source = dashboard.join("web/start.js");
    let text = read_text(&source)?.replace("{{dashboard.wasm}}", wasm_url);
    let text = text.replace("{{pages.css}}", page_style_url).replace("{{modules}}", &parts);
    fs::write(&entry, text).with_context(|| format!("could not write {}", entry.display()))?;
    script(dashboard, &entry, work)
}

/// Bundles a script and its imports into one file.
pub(crate) fn script(dashboard: &Path, entry: &Path, work: &Path) -> Result<String> {
    let output = work.join("bundled.js");
    let mut esbuild = Command::new(package_file(dashboard, "esbuild/bin/esbuild"));
    esbuild.arg(entry).args(["--bundle", "--format=esm", "--minify", "--target=es2022", "--log-level=warning"]);
    run(esbuild.arg(format!("--outfile={}", output.display())))?;
    read_text(&output)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("could not read {}", file.display()))
}

pub(crate) fn read_text(file: &Path) -> Result<String> {
    String::from_utf8(read(file)?).with_context(|| format!("{} is not UTF-8", file.display()))
}
