//! The editor of the SQL page: Monaco, which only that page loads.

use std::{path::Path, process::Command};

use anyhow::{Context, Result};

use crate::{Profile, files::Files, npm};

/// Adds the editor's files. Returns the placeholders of `index.html` and the URLs that replace them.
pub(crate) fn add(
    dashboard: &Path,
    work: &Path,
    files: &mut Files,
    profile: Profile,
) -> Result<[(&'static str, String); 3]> {
    let (script, style) = bundle(dashboard, work, "editor", profile)?;
    let (worker, _) = bundle(dashboard, work, "worker", profile)?;
    let icons = npm::package_file(dashboard, "monaco-editor/esm/vs/base/browser/ui/codicons/codicon/codicon.ttf");
    let icons = std::fs::read(&icons).with_context(|| format!("could not read {}", icons.display()))?;
    let icons = files.add_asset("codicon.ttf", &icons)?;
    let style = style.replace("./codicon.ttf", &icons);
    Ok([
        ("{{sql-editor.js}}", files.add_asset("sql-editor.js", script.as_bytes())?),
        ("{{sql-editor.css}}", files.add_asset("sql-editor.css", style.as_bytes())?),
        ("{{sql-worker.js}}", files.add_asset("sql-worker.js", worker.as_bytes())?),
    ])
}

/// Bundles `web/sql/<name>.js`. Returns the script and the styles that it imports.
fn bundle(dashboard: &Path, work: &Path, name: &str, profile: Profile) -> Result<(String, String)> {
    let output = work.join(format!("sql-{name}.js"));
    let mut esbuild = Command::new(npm::package_file(dashboard, "esbuild/bin/esbuild"));
    esbuild.arg(dashboard.join(format!("web/sql/{name}.js")));
    esbuild.args(["--bundle", "--format=esm", "--target=es2022", "--log-level=warning", "--external:*.ttf"]);
    if profile == Profile::Release {
        esbuild.args(["--minify", "--legal-comments=none"]);
    }
    npm::run(esbuild.arg(format!("--outfile={}", output.display())))?;
    let style = output.with_extension("css");
    let style = if style.is_file() { npm::read_text(&style)? } else { String::new() };
    Ok((npm::read_text(&output)?, style))
}
