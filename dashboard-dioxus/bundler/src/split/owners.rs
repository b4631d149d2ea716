//! Decides in which module each function and each piece of data is.
//!
//! Everything that the app can reach without opening a page of a later module is in the first module. Other code and
//! data that only one later module can reach is in that module, and code and data that several later modules can reach
//! is in the module `shared`.
//!
//! The modules of [`EARLY`] are loaded without `shared`. So code and data that one of them can reach is in that module,
//! even if other later modules can reach it too, and code and data that several of them can reach is in the first
//! module.

use std::{collections::HashMap, iter, ops::Range};

use anyhow::{Result, bail};
use walrus::{ExportItem, FunctionId, FunctionKind, Module, ir};

use super::{
    relocations::{Data, Linked, Need},
    split_point,
};

/// The modules of the overview. The first page may wait for one of them, so they are small.
const EARLY: [&str; 2] = ["first_project", "overview"];

/// The module of functions that the app is not expected to call (see [`rare`]). All later modules need it, except
/// `shared` and those of [`EARLY`].
const RARE: &str = "rare";

/// A module that the bundler writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// The module that is loaded first.
    Main,
    /// The module of functions and data that several later modules need.
    Shared,
    /// A later module, by its position in the list of their names.
    Part(usize),
}

/// The module of each function and of each piece of data. Functions are identified by their position in the module that
/// is split.
#[derive(Debug)]
pub(super) struct Plan {
    names: Vec<String>,
    functions: Vec<Owner>,
    /// The functions at which the app is split.
    pub(super) split_points: Vec<usize>,
    /// Names of the functions that are called from other modules, by position.
    exported: HashMap<usize, String>,
    /// Data that is not in the first module, in the order of addresses.
    data: Vec<(Range<u32>, Owner)>,
}

impl Plan {
    pub(super) fn owner(&self, function: usize) -> Owner {
        self.functions.get(function).copied().unwrap_or(Owner::Main)
    }

    /// Returns the module from which other modules import a function. Split points are imported from the first module,
    /// which contains their stubs.
    pub(super) fn called_in(&self, function: usize) -> Owner {
        if self.split_points.contains(&function) { Owner::Main } else { self.owner(function) }
    }

    /// Returns the name by which other modules call a function, if they do.
    pub(super) fn export_name(&self, function: usize) -> Option<&str> {
        self.exported.get(&function).map(String::as_str)
    }

    /// Returns the data that is not in the first module.
    pub(super) fn moved_data(&self) -> &[(Range<u32>, Owner)] {
        &self.data
    }

    /// Returns the modules that are loaded later.
    pub(super) fn parts(&self) -> impl Iterator<Item = (Owner, &str)> {
        let parts = self.names.iter().enumerate().map(|(part, name)| (Owner::Part(part), name.as_str()));
        iter::once((Owner::Shared, "shared")).chain(parts)
    }

    /// Returns the name by which other modules import from a module.
    pub(super) fn name(&self, owner: Owner) -> &str {
        match owner {
            Owner::Main => "main",
            Owner::Shared => "shared",
            Owner::Part(part) => self.names.get(part).map_or("", String::as_str),
        }
    }

    /// Returns the names of the modules that must be loaded before a module, without the first module.
    pub(super) fn needs(&self, owner: Owner) -> Vec<&str> {
        let name = self.name(owner);
        if EARLY.contains(&name) {
            return Vec::new();
        }
        let names = || self.names.iter().map(String::as_str);
        let early = names().filter(|name| EARLY.contains(name));
        if owner == Owner::Shared {
            return early.collect();
        }
        early.chain(["shared"]).chain(names().filter(|other| *other == RARE && name != RARE)).collect()
    }
}

/// The references between functions and data. The nodes are the functions of the module, then the pieces of data.
struct Graph {
    needs: Vec<Vec<usize>>,
    function_count: usize,
}

pub(super) fn plan(linked: &Linked, bound: &Module) -> Result<Plan> {
    let positions: HashMap<FunctionId, usize> =
        bound.funcs.iter().enumerate().map(|(position, function)| (function.id(), position)).collect();
    let mut unknown = Vec::new();
    let graph = Graph::new(linked, bound, &positions, &mut unknown);

    let mut names: Vec<String> = Vec::new();
    let mut split_points: Vec<(usize, usize)> = Vec::new();
    for (position, function) in bound.funcs.iter().enumerate() {
        let Some(module) = function.name.as_deref().and_then(|name| split_point(name).or_else(|| rare(name))) else {
            continue;
        };
        let part = names.iter().position(|name| name == module).unwrap_or_else(|| {
            names.push(module.to_owned());
            names.len() - 1
        });
        split_points.push((position, part));
    }
    if split_points.is_empty() {
        bail!("the module has no function at which to split it");
    }

    let position_of = |id: &FunctionId| positions.get(id).copied();
    let exports = bound.exports.iter().filter_map(|export| match &export.item {
        ExportItem::Function(id) => position_of(id),
        _ => None,
    });
    let is_split_point = |node: usize| split_points.iter().any(|(position, _)| *position == node);
    // Only the first module imports JavaScript functions. The other modules call them through it.
    let imports =
        bound.funcs.iter().enumerate().filter(|(_, function)| matches!(function.kind, FunctionKind::Import(_)));
    let imports = imports.map(|(position, _)| position);
    let roots = exports.chain(imports).chain(bound.start.as_ref().and_then(position_of)).chain(unknown);
    let in_main = graph.reach(roots.filter(|root| !is_split_point(*root)), is_split_point);

    let mut owners: Vec<Option<Owner>> = in_main.iter().map(|reached| reached.then_some(Owner::Main)).collect();
    let is_early = |part: usize| names.get(part).is_some_and(|name| EARLY.contains(&name.as_str()));
    let (early, late): (Vec<usize>, Vec<usize>) = (0..names.len()).partition(|part| is_early(*part));
    for part in early.into_iter().chain(late) {
        let roots: Vec<usize> =
            split_points.iter().filter(|(_, at)| *at == part).map(|(position, _)| *position).collect();
        let reached = graph.reach(roots.iter().copied(), |node| is_split_point(node) && !roots.contains(&node));
        for (owner, _) in owners.iter_mut().zip(reached).filter(|(_, reached)| *reached) {
            *owner = Some(match owner {
                None => Owner::Part(part),
                Some(Owner::Main) => Owner::Main,
                Some(Owner::Part(other)) if is_early(*other) => {
                    if is_early(part) {
                        Owner::Main
                    } else {
                        Owner::Part(*other)
                    }
                }
                Some(_) => Owner::Shared,
            });
        }
    }
    for (position, part) in &split_points {
        if let Some(owner) = owners.get_mut(*position) {
            *owner = Some(Owner::Part(*part));
        }
    }
    // Functions and data that nothing reaches stay in the first module.
    let owners: Vec<Owner> = owners.into_iter().map(|owner| owner.unwrap_or(Owner::Main)).collect();
    let (functions, data) = owners.split_at(graph.function_count);
    let mut plan = Plan {
        names,
        functions: functions.to_vec(),
        split_points: split_points.into_iter().map(|(position, _)| position).collect(),
        exported: HashMap::new(),
        data: moved_data(&linked.data, data),
    };
    plan.exported = exported(&plan, bound, &positions);
    Ok(plan)
}

/// Names the functions that are called from other modules.
fn exported(plan: &Plan, bound: &Module, positions: &HashMap<FunctionId, usize>) -> HashMap<usize, String> {
    let mut called: Vec<usize> = Vec::new();
    for (caller, function) in bound.funcs.iter().enumerate() {
        let others = calls(bound, function.id()).into_iter().filter_map(|id| positions.get(&id).copied());
        let owner = plan.owner(caller);
        called.extend(others.filter(|other| owner != plan.called_in(*other) && owner != Owner::Main));
    }
    called.sort_unstable();
    called.dedup();
    called.into_iter().enumerate().map(|(number, function)| (function, format!("${number}"))).collect()
}

fn moved_data(data: &[Data], owners: &[Owner]) -> Vec<(Range<u32>, Owner)> {
    let moved = data.iter().zip(owners).filter(|(_, owner)| **owner != Owner::Main);
    moved.map(|(data, owner)| (data.addresses.clone(), *owner)).collect()
}

impl Graph {
    /// `unknown` receives the functions that only the bound module contains.
    fn new(linked: &Linked, bound: &Module, positions: &HashMap<FunctionId, usize>, unknown: &mut Vec<usize>) -> Self {
        // Several functions may have one name. A reference to one counts as a reference to all.
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for (position, function) in bound.funcs.iter().enumerate() {
            if let Some(name) = function.name.as_deref() {
                by_name.entry(name).or_default().push(position);
            }
        }
        let mut linked_by_name: HashMap<&str, Vec<u32>> = HashMap::new();
        for (index, name) in &linked.names {
            linked_by_name.entry(name_after_binding(name)).or_default().push(*index);
        }
        let function_count = bound.funcs.iter().count();
        let nodes_of = |need: &Need| match need {
            Need::Function(index) => {
                let name = linked.names.get(index).map(|name| name_after_binding(name));
                name.and_then(|name| by_name.get(name).cloned()).unwrap_or_default()
            }
            Need::Data(at) => vec![function_count + at],
        };
        let mut needs: Vec<Vec<usize>> = Vec::with_capacity(function_count + linked.data.len());
        for (position, function) in bound.funcs.iter().enumerate() {
            let called = calls(bound, function.id()).into_iter().filter_map(|id| positions.get(&id).copied());
            let mut nodes: Vec<usize> = called.collect();
            match function.name.as_deref().and_then(|name| linked_by_name.get(name)) {
                Some(indexes) => {
                    let needs = indexes.iter().filter_map(|index| linked.functions.get(index)).flatten();
                    nodes.extend(needs.flat_map(nodes_of));
                }
                None => unknown.push(position),
            }
            needs.push(nodes);
        }
        needs.extend(linked.data.iter().map(|data| data.needs.iter().flat_map(nodes_of).collect()));
        Self { needs, function_count }
    }

    /// Returns for each node whether these roots reach it. The search stops before each node for which `is_end` returns
    /// true.
    fn reach(&self, roots: impl Iterator<Item = usize>, is_end: impl Fn(usize) -> bool) -> Vec<bool> {
        let mut reached = vec![false; self.needs.len()];
        let mut next: Vec<usize> = roots.collect();
        while let Some(node) = next.pop() {
            match reached.get_mut(node) {
                Some(seen) if !*seen && !is_end(node) => *seen = true,
                _ => continue,
            }
            next.extend(self.needs.get(node).into_iter().flatten());
        }
        reached
    }
}

/// Returns the module [`RARE`] for a function that the app is not expected to call, although a table of virtual
/// functions or a library refers to it. A call ends the app unless a module that needs [`RARE`] is loaded.
fn rare(name: &str) -> Option<&'static str> {
    const FUNCTIONS: [&str; 5] = [
        // Reads the position of a key on the keyboard. The app uses the character of the key.
        "dioxus_web6events8keyboard165_$LT$impl$u20$dioxus_html..events..keyboard..HasKeyboardData$u20$for$u20$\
         dioxus_web..events..Synthetic$LT$web_sys..features..gen_KeyboardEvent..KeyboardEvent$GT$$GT$4code17h",
        // Lists the fields of a form. The app reads its fields one by one.
        "_$LT$dioxus_web..events..form..WebFormData$u20$as$u20$dioxus_html..events..form..HasFormData$GT$6values17h",
        // Reads files that were chosen or dropped. The app reads them from the browser's own event.
        "_$LT$dioxus_web..events..form..WebFormData$u20$as$u20$dioxus_html..file_data..HasFileData$GT$5files17h",
        // Prints an error with a backtrace, which a browser does not provide.
        "_$LT$anyhow..error..ErrorImpl$LT$E$GT$$u20$as$u20$core..fmt..Debug$GT$3fmt17h",
        // The app provides another `Document`, which runs no JavaScript.
        "_$LT$dioxus_web..document..WebDocument$u20$as$u20$dioxus_document..document..Document$GT$4eval17h",
    ];
    // Writes a floating-point number as text. The frame and the overview write only integers. Rust uses another
    // mangling for its own crates. The name of the crate `core` contains a hash.
    if name.starts_with("_RNvXs") && name.ends_with("4core3fmt5floatdNtB7_7Display3fmt") {
        return Some(RARE);
    }
    let name = name.strip_prefix("_ZN")?.trim_start_matches(|digit: char| digit.is_ascii_digit());
    FUNCTIONS.iter().any(|function| name.starts_with(function)).then_some(RARE)
}

/// Returns the name that `wasm-bindgen` gives a function. It removes the hash from the name of an exported function:
/// `start_c4c3ba8acf2e7a19` becomes `start`.
fn name_after_binding(name: &str) -> &str {
    let is_hash = |hash: &str| hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.rsplit_once('_').filter(|(_, hash)| is_hash(hash)).map_or(name, |(name, _)| name)
}

/// Returns the functions that the code of a function refers to.
fn calls(module: &Module, function: FunctionId) -> Vec<FunctionId> {
    struct Calls(Vec<FunctionId>);
    impl<'a> ir::Visitor<'a> for Calls {
        fn visit_function_id(&mut self, function: &FunctionId) {
            self.0.push(*function);
        }
    }
    let mut calls = Calls(Vec::new());
    if let FunctionKind::Local(local) = &module.funcs.get(function).kind {
        ir::dfs_in_order(&mut calls, local, local.entry_block());
    }
    calls.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_of_exported_function_is_removed() {
        assert_eq!(name_after_binding("start_c4c3ba8acf2e7a19"), "start");
        assert_eq!(name_after_binding("__wbindgen_malloc"), "__wbindgen_malloc");
        assert_eq!(name_after_binding("_ZN4core3fmt17h0123456789abcdefE"), "_ZN4core3fmt17h0123456789abcdefE");
    }

    #[test]
    fn needs_of_modules_have_no_cycle() {
        let names = ["overview", "tables", RARE].map(str::to_owned).to_vec();
        let (functions, split_points, exported, data) = (Vec::new(), Vec::new(), HashMap::new(), Vec::new());
        let plan = Plan { names, functions, split_points, exported, data };
        let needs: Vec<(&str, Vec<&str>)> = plan.parts().map(|(owner, name)| (name, plan.needs(owner))).collect();
        let expected = [
            ("shared", vec!["overview"]),
            ("overview", vec![]),
            ("tables", vec!["overview", "shared", RARE]),
            (RARE, vec!["overview", "shared"]),
        ];
        assert_eq!(needs, expected);
    }

    #[test]
    fn only_the_function_itself_is_rare() {
        let function = "_$LT$anyhow..error..ErrorImpl$LT$E$GT$$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE";
        assert_eq!(rare(&format!("_ZN79{function}")), Some(RARE));
        assert_eq!(rare(&format!("_ZN4core3ptr99drop_in_place{function}")), None);
        let float = "_RNvXs7_NtNtCs0123_4core3fmt5floatdNtB7_7Display3fmt";
        assert_eq!(rare(float), Some(RARE));
        assert_eq!(rare("_RNvXs7_NtNtCs0123_4core3fmt5floatdNtB7_5Debug3fmt"), None);
    }
}
