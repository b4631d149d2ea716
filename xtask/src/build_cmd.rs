//! `cargo xtask build`: one self-contained `atlashub`.

use anyhow::{Result, bail};

use crate::{
    plugin::first_party,
    process,
    setup::{self, Tool},
};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let release = match arguments {
        [] => false,
        [flag] if flag == "--release" => true,
        _ => bail!("`build` takes nothing, or `--release`"),
    };
    setup::ensure(&[Tool::CCompiler, Tool::LibClang])?;
    first_party::ensure()?;
    let mut build = process::cargo();
    build.args(["build", "--package", "atlashub"]);
    if release {
        // What is released is what was tested.
        build.args(["--release", "--locked"]);
    }
    process::run(&mut build)?;
    let binary = process::target_folder().join(if release { "release" } else { "debug" }).join("atlashub");
    println!("{}{}", binary.display(), std::env::consts::EXE_SUFFIX);
    Ok(())
}
