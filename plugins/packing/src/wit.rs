//! The interfaces of `wit/`, compiled into the program, so that packing does not need the repository.

use std::collections::HashSet;

use plugin_manifest::Capability;
use wit_parser::{InterfaceId, Resolve, SourceMap, Type, TypeDefKind, TypeOwner, WorldId, WorldItem};

use crate::{PackError, capability_of};

/// Name and content of each file in `wit/`.
const FILES: &[(&str, &str)] = &[
    ("backups.wit", include_str!("../../../wit/backups.wit")),
    ("buckets.wit", include_str!("../../../wit/buckets.wit")),
    ("clock.wit", include_str!("../../../wit/clock.wit")),
    ("config.wit", include_str!("../../../wit/config.wit")),
    ("databases.wit", include_str!("../../../wit/databases.wit")),
    ("http.wit", include_str!("../../../wit/http.wit")),
    ("job.wit", include_str!("../../../wit/job.wit")),
    ("log.wit", include_str!("../../../wit/log.wit")),
    ("maintenance.wit", include_str!("../../../wit/maintenance.wit")),
    ("migrations.wit", include_str!("../../../wit/migrations.wit")),
    ("notify.wit", include_str!("../../../wit/notify.wit")),
    ("objects.wit", include_str!("../../../wit/objects.wit")),
    ("progress.wit", include_str!("../../../wit/progress.wit")),
    ("query.wit", include_str!("../../../wit/query.wit")),
    ("secrets.wit", include_str!("../../../wit/secrets.wit")),
    ("state.wit", include_str!("../../../wit/state.wit")),
    ("transfers.wit", include_str!("../../../wit/transfers.wit")),
    ("types.wit", include_str!("../../../wit/types.wit")),
    ("world.wit", include_str!("../../../wit/world.wit")),
];

/// Name of the world in `world.wit`.
const WORLD: &str = "plugin";

/// Parses the files.
pub(crate) fn resolve() -> Result<(Resolve, WorldId), PackError> {
    let mut sources = SourceMap::new();
    for (name, content) in FILES {
        sources.push_str(name, *content);
    }
    let invalid = |problem: String| PackError::Interfaces(problem);
    let package = sources.parse().map_err(|(_, error)| invalid(error.to_string()))?;
    let mut resolve = Resolve::default();
    let package = resolve.push_group(package).map_err(|error| invalid(error.to_string()))?;
    let world = resolve.select_world(&[package], Some(WORLD)).map_err(|error| invalid(format!("{error:#}")))?;
    Ok((resolve, world))
}

/// Parses the files and keeps the interfaces that a plugin with these capabilities can call. Other interfaces are
/// removed, or keep only their types if the kept interfaces use them.
pub(crate) fn resolve_requested(requested: impl Fn(Capability) -> bool) -> Result<(Resolve, WorldId), PackError> {
    let (mut resolve, world) = resolve()?;
    let name = |id: InterfaceId| resolve.interfaces[id].name.as_deref().and_then(capability_of);
    let (callable, others): (Vec<InterfaceId>, Vec<InterfaceId>) = resolve.worlds[world]
        .imports
        .values()
        .filter_map(|item| if let WorldItem::Interface { id, .. } = item { Some(*id) } else { None })
        .partition(|id| name(*id).is_none_or(&requested));
    let mut kept: HashSet<InterfaceId> = callable.iter().copied().collect();
    kept.extend(callable.iter().flat_map(|id| used_interfaces(&resolve, *id)));
    for id in others {
        resolve.interfaces[id].functions.clear();
    }
    resolve.worlds[world]
        .imports
        .retain(|_, item| if let WorldItem::Interface { id, .. } = item { kept.contains(id) } else { true });
    Ok((resolve, world))
}

/// Returns the interfaces whose types an interface uses.
fn used_interfaces(resolve: &Resolve, interface: InterfaceId) -> Vec<InterfaceId> {
    let types = resolve.interfaces[interface].types.values();
    let used = types.filter_map(|id| match &resolve.types[*id].kind {
        TypeDefKind::Type(Type::Id(used)) => match resolve.types[*used].owner {
            TypeOwner::Interface(owner) => Some(owner),
            _ => None,
        },
        _ => None,
    });
    used.filter(|owner| *owner != interface).collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_compiled_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
        let on_disk: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".wit"))
            .collect();
        let compiled_in: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(compiled_in, on_disk);
        resolve().unwrap();
    }
}
