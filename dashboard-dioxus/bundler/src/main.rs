//! Turns the dashboard's module, scripts and styles into the files that the host embeds and serves.
//!
//! Usage: `atlashub-dashboard-bundler <dashboard folder> <module.wasm> <output folder> <dev|release>`
//!
//! 1. [`bindings`] generates the JavaScript bindings of the module. In a release, [`split`] moves each group of pages
//!    into a module of its own, and [`bindings`] optimizes all modules for size.
//! 2. [`npm`] bundles scripts with esbuild and styles with Tailwind, and reads the fonts. [`editor`] bundles the files
//!    that only the SQL page loads.
//! 3. [`files`] adds a hash of the content to the name of each asset, compresses the files, and writes the folder that
//!    `host/build.rs` embeds.
//! 4. [`size`] reports the sizes of the files that the first page of a release loads.
//!
//! Not here: compiling the module, and installing npm packages. `cargo xtask` does both first.

mod bindings;
mod editor;
mod files;
mod npm;
mod size;
mod split;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use files::Files;
use npm::Letters;

/// The optimization and compression of the build: little in `Dev`, full in `Release`.
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
    let mut wasm = bindings::generate(module, &work)?;
    let mut parts = Vec::new();
    if profile == Profile::Release {
        let linked = fs::read(module).with_context(|| format!("could not read {}", module.display()))?;
        wasm = bindings::shorten_imports(&wasm, &work)?;
        (wasm, parts) = split::split(&linked, &wasm)?;
        wasm = bindings::optimize(dashboard, &wasm, &work, "main")?;
    }
    let wasm_url = files.add_asset("dashboard.wasm", &wasm)?;
    let mut part_urls = Vec::new();
    for part in parts {
        let content = bindings::optimize(dashboard, &part.content, &work, &part.name)?;
        let url = files.add_asset(&format!("{}.wasm", part.name), &content)?;
        part_urls.push((part.name, url, part.needs));
    }
    let font = |name, letters| npm::font(dashboard, &work, name, letters, profile);
    let inter = files.add_asset("inter.woff2", &font("inter", Letters::Common)?)?;
    let inter_other = files.add_asset("inter-other.woff2", &font("inter", Letters::Other)?)?;
    let mono = files.add_asset("jetbrains-mono.woff2", &font("jetbrains-mono", Letters::All)?)?;

    let page_style = npm::styles(dashboard, &work, "pages.css", profile)?;
    let page_style = files.add_asset("pages.css", page_style.as_bytes())?;
    let style = npm::styles(dashboard, &work, "main.css", profile)?;
    let style = [("inter", &inter), ("inter-other", &inter_other), ("jetbrains-mono", &mono)]
        .into_iter()
        .fold(style, |style, (name, url)| style.replace(&format!("fonts/{name}.woff2"), url));
    let style = files.add_asset("dashboard.css", style.as_bytes())?;

    let theme =
        files.add_asset("theme.js", npm::script(dashboard, &dashboard.join("web/theme.js"), &work)?.as_bytes())?;
    let start = npm::start_script(dashboard, &work, &wasm_url, &page_style, &part_urls)?;
    let start = files.add_asset("start.js", start.as_bytes())?;

    let editor = editor::add(dashboard, &work, &mut files, profile)?;

    // The other fonts are left out: the browser loads a font only if the page has text in it, and the overview has no
    // monospaced text and usually no rare characters.
    let mut first: Vec<String> = [&theme, &style, &start, &wasm_url, &inter].into_iter().cloned().collect();
    // The overview loads one of these modules, depending on whether a project exists.
    let early: Vec<&str> =
        part_urls.iter().filter(|(_, _, needs)| needs.is_empty()).map(|(_, url, _)| &**url).collect();
    first.extend(files.sizes(&early).into_iter().max_by_key(|(_, bytes)| *bytes).map(|(url, _)| url));
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
    if let Some((_, rest)) = page.split_once("{{") {
        let name = rest.split_once("}}").map_or("", |(name, _)| name);
        bail!("index.html has an unknown placeholder: {{{{{name}}}}}");
    }
    files.add_page("index.html", page.as_bytes())?;
    if profile == Profile::Release {
        let first: Vec<&str> = first.iter().map(String::as_str).chain(["/index.html"]).collect();
        size::report(&files.sizes(&first));
    }
    files.publish()
}
