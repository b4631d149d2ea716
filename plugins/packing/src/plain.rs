//! The plain form of the interfaces: the same functions, none of them `async`.
//!
//! Some toolchains can't import asynchronous functions. [`write_bindings`](crate::write_bindings) writes the plain form
//! for them. Without the asynchronous ABI, a call passes its parameters and results in the same way in both forms, and
//! the component differs only in one byte for each type of an asynchronous function. [`declare_async`] sets these
//! bytes, so the host sees one version of the interfaces. The host suspends the run while a call waits.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use wasmparser::{
    BinaryReader, ComponentAlias, ComponentExternalKind, ComponentFuncType, ComponentOuterAliasKind, ComponentType,
    ComponentTypeRef, InstanceTypeDeclaration, Parser, Payload,
};
use wit_parser::{Function, FunctionKind, Resolve, WorldItem};

use crate::{PackError, interface_name, wit};

/// First byte of the type of a plain function.
const PLAIN: u8 = 0x40;
/// First byte of the type of an asynchronous function.
const ASYNC: u8 = 0x43;
/// Names of the parameters of `job.run`, by which its type is recognized. No imported function has the same names.
const RUN_PARAMETERS: [&str; 2] = ["context", "params"];

/// Makes the imported functions of the world plain.
pub(crate) fn make_imports_plain(resolve: &mut Resolve) {
    let imported: Vec<_> = resolve.worlds.iter().flat_map(|(_, world)| world.imports.values().cloned()).collect();
    make_plain(resolve, &imported);
}

/// Makes the exported functions of the world plain.
pub(crate) fn make_exports_plain(resolve: &mut Resolve) {
    let exported: Vec<_> = resolve.worlds.iter().flat_map(|(_, world)| world.exports.values().cloned()).collect();
    make_plain(resolve, &exported);
}

fn make_plain(resolve: &mut Resolve, items: &[WorldItem]) {
    for item in items {
        if let WorldItem::Interface { id, .. } = item {
            for function in resolve.interfaces[*id].functions.values_mut() {
                function.kind = match &function.kind {
                    FunctionKind::AsyncFreestanding => FunctionKind::Freestanding,
                    FunctionKind::AsyncMethod(resource) => FunctionKind::Method(*resource),
                    FunctionKind::AsyncStatic(resource) => FunctionKind::Static(*resource),
                    plain => plain.clone(),
                };
            }
        }
    }
}

fn is_async(function: &Function) -> bool {
    matches!(
        function.kind,
        FunctionKind::AsyncFreestanding | FunctionKind::AsyncMethod(_) | FunctionKind::AsyncStatic(_)
    )
}

/// Declares functions asynchronous in a component and in the components inside it, if the interfaces declare them
/// `async`.
///
/// # Errors
/// Fails if the component is malformed, or uses one type for a plain and an asynchronous function.
pub(crate) fn declare_async(component: &mut [u8]) -> Result<(), PackError> {
    let declared = DeclaredFunctions::read()?;
    let offsets = Types::read(component, &declared)?.offsets;
    for (offset, is_async) in offsets {
        if let Some(byte) = component.get_mut(offset)
            && is_async
            && *byte == PLAIN
        {
            *byte = ASYNC;
        }
    }
    Ok(())
}

/// Whether each function is asynchronous, by the names of interface and function.
struct DeclaredFunctions(HashMap<String, HashMap<String, bool>>);

impl DeclaredFunctions {
    fn read() -> Result<Self, PackError> {
        let (resolve, _) = wit::resolve()?;
        let interfaces = resolve.interfaces.iter().filter_map(|(_, interface)| {
            let functions = interface.functions.iter().map(|(name, function)| (name.clone(), is_async(function)));
            Some((interface.name.clone()?, functions.collect()))
        });
        Ok(Self(interfaces.collect()))
    }

    fn is_async(&self, interface: &str, function: &str) -> Option<bool> {
        self.0.get(interface)?.get(function).copied()
    }
}

/// Functions of an instance type: the name, and the offset of the function's type in the file.
type InstanceFunctions = Rc<[(String, usize)]>;

/// The types of functions in a component.
struct Types<'a> {
    declared: &'a DeclaredFunctions,
    /// Type index spaces of the current component and of the components around it. Types other than instances are
    /// `None`.
    levels: Vec<Vec<Option<InstanceFunctions>>>,
    /// Offset of each function type of the interfaces, and whether it is asynchronous.
    offsets: BTreeMap<usize, bool>,
}

impl<'a> Types<'a> {
    fn read(component: &[u8], declared: &'a DeclaredFunctions) -> Result<Self, PackError> {
        let malformed = |error: wasmparser::Error| PackError::NotWebAssembly(error.message().to_owned());
        let mut types = Self { declared, levels: Vec::new(), offsets: BTreeMap::new() };
        for payload in Parser::new(0).parse_all(component) {
            let payload = payload.map_err(malformed)?;
            types.payload(component, payload).map_err(malformed)??;
        }
        Ok(types)
    }

    /// Reads one section. The outer error is for malformed components.
    fn payload(&mut self, component: &[u8], payload: Payload<'_>) -> wasmparser::Result<Result<(), PackError>> {
        match payload {
            Payload::Version { .. } => self.levels.push(Vec::new()),
            Payload::End(_) => drop(self.levels.pop()),
            Payload::ComponentTypeSection(section) => {
                for item in section.into_iter_with_offsets() {
                    let (offset, ty) = item?;
                    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
                    let functions = match ty {
                        ComponentType::Func(function) => {
                            if is_run(&function) {
                                self.offsets.insert(offset, true);
                            }
                            None
                        }
                        ComponentType::Instance(_) => Some(self.instance(component, offset)?),
                        _ => None,
                    };
                    self.push(functions);
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    match alias? {
                        ComponentAlias::InstanceExport { kind: ComponentExternalKind::Type, .. } => self.push(None),
                        ComponentAlias::Outer { kind: ComponentOuterAliasKind::Type, count, index } => {
                            let outer = self.levels.iter().rev().nth(count as usize);
                            let functions = outer.and_then(|types| types.get(index as usize)).cloned().flatten();
                            self.push(functions);
                        }
                        _ => {}
                    }
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import?;
                    match import.ty {
                        ComponentTypeRef::Type(_) => self.push(None),
                        ComponentTypeRef::Instance(index) => {
                            if let Err(error) = self.import(import.name.name, index) {
                                return Ok(Err(error));
                            }
                        }
                        _ => {}
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    if export?.kind == ComponentExternalKind::Type {
                        self.push(None);
                    }
                }
            }
            _ => {}
        }
        Ok(Ok(()))
    }

    /// Adds a type to the index space of the current component.
    fn push(&mut self, functions: Option<InstanceFunctions>) {
        if let Some(level) = self.levels.last_mut() {
            level.push(functions);
        }
    }

    /// Reads the instance type at an offset.
    fn instance(&mut self, component: &[u8], offset: usize) -> wasmparser::Result<InstanceFunctions> {
        let mut reader = BinaryReader::new(component.get(offset..).unwrap_or_default(), 0);
        reader.read_u8()?;
        let declarations = reader.read_var_u32()?;
        let (mut types, mut functions) = (Vec::new(), Vec::new());
        for _ in 0..declarations {
            let position = usize::try_from(reader.original_position()).unwrap_or(usize::MAX);
            match reader.read::<InstanceTypeDeclaration<'_>>()? {
                InstanceTypeDeclaration::Type(ComponentType::Func(function)) => {
                    // One byte precedes the type: the kind of the declaration.
                    let ty = offset + position + 1;
                    if is_run(&function) {
                        self.offsets.insert(ty, true);
                    }
                    types.push(Some(ty));
                }
                InstanceTypeDeclaration::Export { name, ty: ComponentTypeRef::Func(index) } => {
                    let ty = types.get(index as usize).copied().flatten();
                    functions.extend(ty.map(|ty| (name.name.to_owned(), ty)));
                }
                InstanceTypeDeclaration::Type(_)
                | InstanceTypeDeclaration::Alias(
                    ComponentAlias::InstanceExport { kind: ComponentExternalKind::Type, .. }
                    | ComponentAlias::Outer { kind: ComponentOuterAliasKind::Type, .. },
                )
                | InstanceTypeDeclaration::Export { ty: ComponentTypeRef::Type(_), .. } => types.push(None),
                _ => {}
            }
        }
        Ok(functions.into())
    }

    /// Records the types of an imported interface's functions.
    fn import(&mut self, name: &str, index: u32) -> Result<(), PackError> {
        let functions = self.levels.last().and_then(|types| types.get(index as usize)).cloned().flatten();
        let (Some(interface), Some(functions)) = (interface_name(name), functions) else { return Ok(()) };
        for (function, offset) in functions.iter() {
            let Some(is_async) = self.declared.is_async(interface, function) else { continue };
            if self.offsets.insert(*offset, is_async).is_some_and(|other| other != is_async) {
                return Err(PackError::SharedType { interface: interface.to_owned(), function: function.clone() });
            }
        }
        Ok(())
    }
}

fn is_run(function: &ComponentFuncType<'_>) -> bool {
    function.params.iter().map(|(name, _)| *name).eq(RUN_PARAMETERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Imports `clock` twice, in the component and in one inside it, and exports `run` through a nested component.
    fn component(sleep: &str, run: &str) -> Vec<u8> {
        let clock = format!(
            r#"(type $clock (instance
                (type (func (result u64))) (export "now" (func (type 0)))
                (type (func {sleep} (param "milliseconds" u64))) (export "sleep" (func (type 1)))))
            (import "atlashub:plugin/clock@0.1.0" (instance $host (type $clock)))"#
        );
        wat::parse_str(format!(
            r#"(component {clock}
            (component $inner {clock}
                (core func $sleep (canon lower (func $host "sleep")))
                (core module $code
                    (import "host" "sleep" (func $sleep (param i64)))
                    (memory (export "memory") 1)
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 64)
                    (func (export "run") (param i32 i32 i32 i32) (result i32) (call $sleep (i64.const 1)) i32.const 0))
                (core instance $code (instantiate $code (with "host" (instance (export "sleep" (func $sleep))))))
                (alias core export $code "memory" (core memory $memory))
                (func (export "run") {run} (param "context" string) (param "params" string) (result string)
                    (canon lift (core func $code "run") (memory $memory) (realloc (core func $code "realloc")))))
            (instance $job (instantiate $inner (with "atlashub:plugin/clock@0.1.0" (instance $host))))
            (export "atlashub:plugin/job@0.1.0" (instance $job)))"#
        ))
        .unwrap()
    }

    #[test]
    fn plain_functions_become_asynchronous_where_the_interfaces_declare_it() {
        let mut plain = component("", "");
        declare_async(&mut plain).unwrap();
        let expected = component("async", "async");
        assert_eq!(plain, expected);
        wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(&plain).unwrap();
        declare_async(&mut plain).unwrap();
        assert_eq!(plain, expected, "declared twice");
    }

    #[test]
    fn type_that_plain_and_asynchronous_functions_share_is_refused() {
        let shared = r#"(component (type $clock (instance
            (type (func)) (export "now" (func (type 0))) (export "sleep" (func (type 0)))))
            (import "atlashub:plugin/clock@0.1.0" (instance (type $clock))))"#;
        let error = declare_async(&mut wat::parse_str(shared).unwrap()).unwrap_err();
        assert!(matches!(&error, PackError::SharedType { function, .. } if function == "sleep"), "{error}");
    }

    /// If the types were equal, a compiler could use one type for a plain and an asynchronous function.
    #[test]
    fn plain_and_asynchronous_functions_of_an_interface_differ_in_their_types() {
        let (resolve, _) = wit::resolve().unwrap();
        for (_, interface) in resolve.interfaces.iter() {
            let signature = |function: &Function| {
                let parameters = function.params.iter().map(|parameter| (parameter.name.clone(), parameter.ty));
                (parameters.collect::<Vec<_>>(), function.result)
            };
            for (name, function) in &interface.functions {
                let shares =
                    |other: &Function| is_async(other) != is_async(function) && signature(other) == signature(function);
                assert!(!interface.functions.values().any(shares), "{:?}: {name}", interface.name);
            }
        }
    }
}
