//! The JavaScript bindings of the module, as `wasm-bindgen --target web` generates them.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

use crate::{Profile, npm};

/// Features that the compiler uses for this target by default.
const FEATURES: [&str; 6] =
    ["bulk-memory", "multivalue", "mutable-globals", "nontrapping-float-to-int", "reference-types", "sign-ext"];

/// Writes `dashboard.js` and its snippets to `work`, and returns the module.
pub(crate) fn generate(dashboard: &Path, module: &Path, work: &Path, profile: Profile) -> Result<Vec<u8>> {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(module).out_name("dashboard").web(true)?.typescript(false);
    bindgen.keep_debug(false).remove_name_section(profile == Profile::Release).remove_producers_section(true);
    bindgen.generate(work).context("wasm-bindgen could not process the module")?;
    let wasm = work.join("dashboard_bg.wasm");
    if profile == Profile::Release {
        optimize(dashboard, &wasm)?;
    }
    fs::read(&wasm).with_context(|| format!("could not read {}", wasm.display()))
}

/// Makes a module smaller.
fn optimize(dashboard: &Path, wasm: &Path) -> Result<()> {
    let mut optimizer = Command::new("node");
    optimizer.arg(npm::package_file(dashboard, "binaryen/bin/wasm-opt"));
    optimizer.args(FEATURES.map(|feature| format!("--enable-{feature}")));
    npm::run(optimizer.args(["-Oz", "--converge"]).arg(wasm).arg("-o").arg(wasm))
}
