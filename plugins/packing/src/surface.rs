//! Reads a component's imports and exports without compiling or running it.

use wasmparser::{
    Encoding, Parser, Payload, ValidPayload, Validator, component_types::ComponentEntityType, types::Types,
};

use crate::{JOB_EXPORT, interface_name};

/// An import of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Full name, for example `atlashub:plugin/http@0.1.0`.
    pub name: String,
    /// Whether the import contains functions, not only types. Importing only an interface's types, as `http` does with
    /// `secrets`, needs no grant.
    pub callable: bool,
}

/// A component's own imports and exports, without those of nested components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surface {
    /// All imports, in the component's order.
    pub imports: Vec<Import>,
    /// Whether the component exports the interface [`JOB_EXPORT`].
    pub exports_job: bool,
}

impl Surface {
    /// Reads a component. Function bodies are not validated; the compiler does that.
    ///
    /// # Errors
    /// Returns the reason why the bytes are not a component.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let malformed = |error: wasmparser::Error| error.message().to_owned();
        let mut validator = Validator::new();
        let mut names = Vec::new();
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(malformed)?;
            match &payload {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                    return Err("it is a core module".to_owned());
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section.clone() {
                        names.push(import.map_err(malformed)?.name.name.to_owned());
                    }
                }
                _ => {}
            }
            let ended = matches!(payload, Payload::End(_));
            if let ValidPayload::End(types) = validator.payload(&payload).map_err(malformed)?
                && depth == 0
            {
                return Ok(Self::from_types(&types, names));
            }
            if ended {
                depth = depth.saturating_sub(1);
            }
        }
        Err("the file is truncated".to_owned())
    }

    /// Returns the interfaces of `atlashub:plugin` that the component can call, without package and version.
    pub fn called_interfaces(&self) -> impl Iterator<Item = &str> {
        self.imports.iter().filter(|import| import.callable).filter_map(|import| interface_name(&import.name))
    }

    fn from_types(types: &Types, names: Vec<String>) -> Self {
        let types = types.as_ref();
        let is_instance = |ty: &ComponentEntityType| matches!(ty, ComponentEntityType::Instance(_));
        let exports_job = types.component_item_for_export(JOB_EXPORT).is_some_and(|item| is_instance(&item.ty));
        let imports = names.into_iter().map(|name| {
            let callable = types.component_item_for_import(&name).is_none_or(|item| match item.ty {
                ComponentEntityType::Instance(instance) => types[instance]
                    .exports
                    .values()
                    .any(|export| !matches!(export.ty, ComponentEntityType::Type { .. })),
                _ => true,
            });
            Import { name, callable }
        });
        Self { imports: imports.collect(), exports_job }
    }
}
