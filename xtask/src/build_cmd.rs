//! `cargo xtask build`: one self-contained `atlashub`.

use anyhow::{Result, bail};

use crate::{
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
    let mut build = process::cargo();
    build.args(["build", "--package", "atlashub"]);
    if release {
        build.arg("--release");
    }
    process::run(&mut build)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| process::workspace().join("target"), Into::into);
    let binary = target.join(if release { "release" } else { "debug" }).join("atlashub");
    println!("{}{}", binary.display(), std::env::consts::EXE_SUFFIX);
    Ok(())
}
