//! Generates the JavaScript bindings of the module, as `wasm-bindgen --target web` does, and optimizes modules for
//! size.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use walrus::Module;
use wasm_bindgen_cli_support::Bindgen;

use crate::npm;

/// WebAssembly features that the compiler enables for this target by default.
const FEATURES: [&str; 6] =
    ["bulk-memory", "multivalue", "mutable-globals", "nontrapping-float-to-int", "reference-types", "sign-ext"];

/// Passes of `wasm-opt`. Rebuilding the control flow of optimized code, and optimizing again, makes the compressed
/// modules one percent smaller.
const PASSES: [&str; 5] = ["-Oz", "--flatten", "--rereloop", "-Oz", "-Oz"];

/// Writes `dashboard.js` and its snippets to `work`, and returns the module.
pub(crate) fn generate(module: &Path, work: &Path) -> Result<Vec<u8>> {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(module).out_name("dashboard").web(true)?.typescript(false);
    // Splitting needs the names of functions as the compiler wrote them. The optimizer removes them.
    bindgen.keep_debug(false).demangle(false).remove_name_section(false).remove_producers_section(true);
    bindgen.generate(work).context("wasm-bindgen could not process the module")?;
    let wasm = work.join("dashboard_bg.wasm");
    fs::read(&wasm).with_context(|| format!("could not read {}", wasm.display()))
}

/// Replaces the names of the functions that the module imports with short ones, in the module and in `dashboard.js`.
/// The names contain hashes, which compress badly: without them, both files are 10 KiB smaller.
pub(crate) fn shorten_imports(module: &[u8], work: &Path) -> Result<Vec<u8>> {
    let script = work.join("dashboard.js");
    let mut text = npm::read_text(&script)?;
    let mut module = Module::from_buffer(module)?;
    for (number, import) in module.imports.iter_mut().enumerate() {
        let property = format!("{}: function", import.name);
        if text.contains(&property) {
            import.name = format!("i{number}");
            text = text.replace(&property, &format!("{}: function", import.name));
        }
    }
    fs::write(&script, text).with_context(|| format!("could not write {}", script.display()))?;
    Ok(module.emit_wasm())
}

/// Returns the module, optimized for size. Also writes it to `work` as `<name>.wasm`.
pub(crate) fn optimize(dashboard: &Path, module: &[u8], work: &Path, name: &str) -> Result<Vec<u8>> {
    let wasm = work.join(format!("{name}.wasm"));
    fs::write(&wasm, module).with_context(|| format!("could not write {}", wasm.display()))?;
    let mut optimizer = Command::new("node");
    optimizer.arg(npm::package_file(dashboard, "binaryen/bin/wasm-opt"));
    optimizer.args(FEATURES.map(|feature| format!("--enable-{feature}")));
    npm::run(optimizer.args(PASSES).arg(&wasm).arg("-o").arg(&wasm))?;
    fs::read(&wasm).with_context(|| format!("could not read {}", wasm.display()))
}
