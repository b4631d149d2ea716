//! Turns the dashboard's module, scripts and styles into the files that the host embeds and serves.
//!
//! Usage: `atlashub-dashboard-bundler <dashboard folder> <module.wasm> <output folder> <dev|release>`
//!
//! 1. [`bindings`] makes the JavaScript glue of the module, and makes the module smaller in a release.
//! 2. [`npm`] bundles scripts with esbuild and styles with Tailwind; [`editor`] bundles what only the SQL page loads.
//! 3. [`size`] reports what the first page of a release loads.
//! 4. [`files`] names each file by its content, compresses it, and writes the folder that `host/build.rs` embeds.
//!
//! Not here: compiling the module, and installing npm packages. `cargo xtask` does both first.

mod bindings;
mod editor;
mod files;
mod npm;
mod size;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use files::Files;

/// How much time to spend on optimization and compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dashboard, module, output, profile] = arguments.as_slice() else {
        bail!("Usage: atlashub-dashboard-bundler <dashboard folder> <module.wasm> <output folder> <dev|release>");
    };
    let profile = match profile.as_str() {
        "dev" => Profile::Dev,
        "release" => Profile::Release,
        other => bail!("Unknown profile `{other}`. Supported: dev, release."),
    };
    bundle(&PathBuf::from(dashboard), Path::new(module), Path::new(output), profile)
}

fn bundle(dashboard: &Path, module: &Path, output: &Path, profile: Profile) -> Result<()> {
    let work = output.join("work");
    if work.exists() {
        fs::remove_dir_all(&work).with_context(|| format!("could not remove {}", work.display()))?;
    }
    fs::create_dir_all(&work).with_context(|| format!("could not create {}", work.display()))?;

    let mut files = Files::new(output, profile)?;
    let wasm = bindings::generate(dashboard, module, &work, profile)?;
    let wasm_url = files.add_asset("dashboard.wasm", &wasm)?;
    let inter = files.add_asset("inter.woff2", &npm::font(dashboard, &work, "inter", profile)?)?;
    let mono = files.add_asset("jetbrains-mono.woff2", &npm::font(dashboard, &work, "jetbrains-mono", profile)?)?;

    let style = npm::styles(dashboard, &work, profile)?;
    let style = style.replace("fonts/inter.woff2", &inter).replace("fonts/jetbrains-mono.woff2", &mono);
    let style = files.add_asset("dashboard.css", style.as_bytes())?;

    let theme =
        files.add_asset("theme.js", npm::script(dashboard, &dashboard.join("web/theme.js"), &work)?.as_bytes())?;
    let start = npm::start_script(dashboard, &work, &wasm_url)?;
    let start = files.add_asset("start.js", start.as_bytes())?;

    let editor = editor::add(dashboard, &work, &mut files, profile)?;

    let first: Vec<String> = [&theme, &style, &start, &wasm_url, &inter].into_iter().cloned().collect();
    let page = dashboard.join("web/index.html");
    let mut page = fs::read_to_string(&page).with_context(|| format!("could not read {}", page.display()))?;
    for (placeholder, url) in [
        ("{{theme.js}}", theme),
        ("{{dashboard.css}}", style),
        ("{{start.js}}", start),
        ("{{dashboard.wasm}}", wasm_url),
        ("{{inter.woff2}}", inter),
    ]
    .into_iter()
    .chain(editor)
    {
        page = page.replace(placeholder, &url);
    }
    if let Some(position) = page.find("{{") {
        bail!("index.html has an unknown placeholder: {}", page.get(position..).unwrap_or_default());
    }
    files.add_page("index.html", page.as_bytes())?;
    if profile == Profile::Release {
        let first: Vec<&str> = first.iter().map(String::as_str).chain(["/index.html"]).collect();
        size::report(&files.sizes(&first));
    }
    files.publish()
}
