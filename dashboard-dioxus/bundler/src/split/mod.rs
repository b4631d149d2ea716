//! Splits the module of the app into a first module with the code that every page needs, a module for each group of
//! pages, and modules with the code that several of those share.
//!
//! A split point is a function with the path `dashboard::lazy::pages::split_points::<module>::<page>`. [`relocations`]
//! reads what each function of the linked module needs. [`owners`] decides in which module each function and each
//! piece of data is. [`emit`] writes the modules. The first module contains a stub for each split point. The stub calls
//! the real function through the table of functions. A later module puts its functions into that table when it is
//! loaded.
//!
//! Not here: loading a module in the browser. `web/start.js` does that.

mod emit;
mod owners;
mod relocations;

use anyhow::{Context, Result};

/// A module that is loaded when it is needed.
pub(crate) struct Part {
    pub(crate) name: String,
    /// Names of the modules that must be loaded before this one, without the first module.
    pub(crate) needs: Vec<String>,
    pub(crate) content: Vec<u8>,
}

/// Splits a module. `linked` is the module as the linker wrote it, with relocations. `bound` is the same module after
/// `wasm-bindgen`. Both contain the names of functions. Returns the first module and the modules that are loaded later.
pub(crate) fn split(linked: &[u8], bound: &[u8]) -> Result<(Vec<u8>, Vec<Part>)> {
    let linked = relocations::read(linked).context("could not read the relocations of the module")?;
    let plan = owners::plan(&linked, &emit::parse(bound)?)?;
    let parts = plan.parts().map(|(owner, name)| {
        let content = emit::part(bound, &plan, owner).with_context(|| format!("could not write the module {name}"))?;
        let needs = plan.needs(owner).into_iter().map(str::to_owned).collect();
        Ok(Part { name: name.to_owned(), needs, content })
    });
    Ok((emit::main(bound, &plan)?, parts.collect::<Result<_>>()?))
}

/// Returns the name of the module that begins at this function: `tables` for
/// `dashboard::lazy::pages::split_points::tables::Tables`.
fn split_point(symbol: &str) -> Option<&str> {
    let (start, path) = symbol.split_once("9dashboard4lazy5pages12split_points")?;
    let is_legacy = start == "_ZN";
    if !is_legacy && !start.starts_with("_RNvNtNt") {
        return None;
    }
    let (module, path) = identifier(path)?;
    let (_, rest) = identifier(path)?;
    // The name of a closure contains more identifiers before the hash.
    let ends =
        if is_legacy { rest.starts_with("17h") && rest.ends_with('E') && rest.len() == 20 } else { rest.is_empty() };
    ends.then_some(module)
}

/// Reads an identifier of a mangled name, after the number that is its length. Also returns the rest of the name.
fn identifier(path: &str) -> Option<(&str, &str)> {
    let digits = path.find(|c: char| !c.is_ascii_digit())?;
    let length = path.get(..digits)?.parse::<usize>().ok()?;
    path.get(digits..)?.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_point_is_found_in_both_manglings() {
        let legacy = "_ZN9dashboard4lazy5pages12split_points6tables6Tables17h0123456789abcdefE";
        assert_eq!(split_point(legacy), Some("tables"));
        assert_eq!(split_point("_RNvNtNtNtNtCs1234_9dashboard4lazy5pages12split_points3sql3Sql"), Some("sql"));
    }

    #[test]
    fn other_functions_are_no_split_points() {
        for symbol in [
            "_ZN9dashboard4lazy5pages12split_points6tables6Tables28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE",
            "_ZN4core3ptr42drop_in_place$LT$9dashboard4lazy5pages12split_points6tables6Tables17h0123456789abcdefE",
            "_ZN9dashboard5pages6tables6Tables17h0123456789abcdefE",
            "_ZN9dashboard4lazy5pages12split_points",
        ] {
            assert_eq!(split_point(symbol), None, "{symbol}");
        }
    }
}
