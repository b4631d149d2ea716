//! `cargo xtask build`: builds one self-contained binary.

use anyhow::{Result, bail};

use crate::{
    dashboard,
    plugin::first_party,
    process,
    setup::{self, Tool},
    wasm32::Optimization,
};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let is_release = match arguments {
        [] => false,
        [flag] if flag == "--release" => true,
        _ => bail!("Unknown arguments. `build` supports only `--release`."),
    };
    setup::ensure(&[Tool::CCompiler, Tool::LibClang])?;
    first_party::ensure()?;
    dashboard::ensure(if is_release { Optimization::Small } else { Optimization::Fast })?;
    let mut build = process::cargo();
    build.args(["build", "--package", "atlashub"]);
    if is_release {
        // Release exactly the versions that were tested.
        build.args(["--release", "--locked"]);
    }
    process::run(&mut build)?;
    let binary = process::target_folder().join(if is_release { "release" } else { "debug" }).join("atlashub");
    println!("{}{}", binary.display(), std::env::consts::EXE_SUFFIX);
    Ok(())
}
