//! Writes the WebAssembly modules of a [`Plan`]: the first module and the modules that are loaded later. `bound` is the
//! whole app as one module, after `wasm-bindgen`.

use std::{collections::HashSet, ops::Range};

use anyhow::{Context, Result};
use walrus::{
    ConstExpr, DataKind, ElementItems, ElementKind, FunctionBuilder, FunctionId, FunctionKind, GlobalKind,
    ImportedFunction, MemoryId, Module, TableId, TypeId, ir, passes::gc,
};

use super::owners::{Owner, Plan};

/// Maximum number of zeros between two pieces of data of one segment. Beginning another segment takes more bytes.
const MAX_GAP: u32 = 8;

pub(super) fn parse(module: &[u8]) -> Result<Module> {
    let mut module = Module::from_buffer(module)?;
    let sections: Vec<_> = module.customs.iter().map(|(id, section)| (id, section.name().to_owned())).collect();
    for (id, _) in sections.iter().filter(|(_, name)| name != "target_features") {
        module.customs.delete(*id);
    }
    Ok(module)
}

/// Writes the module that is loaded first.
pub(super) fn main(bound: &[u8], plan: &Plan) -> Result<Vec<u8>> {
    let mut module = parse(bound)?;
    let ids: Vec<FunctionId> = module.funcs.iter().map(walrus::Function::id).collect();
    let table = module.tables.main_function_table()?.context("the module has no table of functions")?;
    let first_slot = add_slots(&mut module, table, plan)?;
    let missing = missing_function(&mut module);

    for (position, id) in ids.iter().enumerate() {
        if let Some(slot) = plan.split_points.iter().position(|split_point| *split_point == position) {
            make_stub(&mut module, *id, table, first_slot + i32::try_from(slot)?);
        }
        if plan.called_in(position) == Owner::Main
            && let Some(name) = plan.export_name(position)
        {
            module.exports.add(name, *id);
        }
    }
    let moved = functions(&ids, |position| plan.called_in(position) != Owner::Main);
    for element in module.elements.iter_mut() {
        replace_functions(&mut element.items, |id| if moved.contains(&id) { missing } else { id });
    }
    for (addresses, _) in plan.moved_data() {
        let bytes = bytes_mut(&mut module, addresses)?;
        bytes.fill(0);
    }
    for (name, item) in shared_items(&module) {
        match item {
            Item::Table(id) => module.exports.add(&name, id),
            Item::Memory(id) => module.exports.add(&name, id),
            Item::Global(id) => module.exports.add(&name, id),
        };
    }
    gc::run(&mut module);
    Ok(module.emit_wasm())
}

/// Writes a module that is loaded later.
pub(super) fn part(bound: &[u8], plan: &Plan, owner: Owner) -> Result<Vec<u8>> {
    let mut module = parse(bound)?;
    let ids: Vec<FunctionId> = module.funcs.iter().map(walrus::Function::id).collect();
    let table = module.tables.main_function_table()?.context("the module has no table of functions")?;
    let first_slot = add_slots(&mut module, table, plan)?;
    module.start = None;
    let exports: Vec<_> = module.exports.iter().map(walrus::Export::id).collect();
    for export in exports {
        module.exports.delete(export);
    }

    let data = segments(&mut module, plan, owner)?;
    let own = functions(&ids, |position| plan.called_in(position) == owner);
    let elements = elements(&module, table, &own)?;
    clear(&mut module);
    import_items(&mut module);
    for (position, id) in ids.iter().enumerate() {
        let Some(name) = plan.export_name(position) else { continue };
        if plan.owner(position) != owner {
            import_function(&mut module, *id, plan.name(plan.called_in(position)), name);
        } else if plan.called_in(position) == owner {
            module.exports.add(name, *id);
        }
    }
    let own_split_points = plan.split_points.iter().enumerate().filter(|(_, position)| plan.owner(**position) == owner);
    let slots = own_split_points.filter_map(|(slot, position)| Some((slot, ids.get(*position).copied()?)));
    let slots: Vec<(i32, FunctionId)> =
        slots.map(|(slot, id)| Ok((first_slot + i32::try_from(slot)?, id))).collect::<Result<_>>()?;
    for (slot, functions) in elements.into_iter().chain(slots.into_iter().map(|(slot, id)| (slot, vec![id]))) {
        let kind = ElementKind::Active { table, offset: ConstExpr::Value(ir::Value::I32(slot)) };
        let element = module.elements.add(kind, ElementItems::Functions(functions));
        module.tables.get_mut(table).elem_segments.insert(element);
    }
    let memory = module.memories.iter().next().context("the module has no memory")?.id();
    for (address, bytes) in data {
        add_data(&mut module, memory, address, bytes);
    }
    gc::run(&mut module);
    Ok(module.emit_wasm())
}

/// Returns the functions whose positions meet a condition.
fn functions(ids: &[FunctionId], condition: impl Fn(usize) -> bool) -> HashSet<FunctionId> {
    ids.iter().enumerate().filter(|(position, _)| condition(*position)).map(|(_, id)| *id).collect()
}

/// Adds a slot to the table of functions for each split point. Returns the first of these slots.
fn add_slots(module: &mut Module, table: TableId, plan: &Plan) -> Result<i32> {
    let table = module.tables.get_mut(table);
    let first = table.initial;
    let count = plan.split_points.len() as u64;
    table.initial += count;
    table.maximum = table.maximum.map(|maximum| maximum.max(table.initial));
    Ok(i32::try_from(first)?)
}

/// Adds the function that fills the table's slots for functions of modules that are not loaded. Calling it traps.
fn missing_function(module: &mut Module) -> FunctionId {
    let mut builder = FunctionBuilder::new(&mut module.types, &[], &[]);
    builder.func_body().unreachable();
    builder.finish(vec![], &mut module.funcs)
}

/// Replaces the body of a function with a call through the table.
fn make_stub(module: &mut Module, function: FunctionId, table: TableId, slot: i32) {
    let ty: TypeId = module.funcs.get(function).ty();
    let (params, results) = module.types.params_results(ty);
    let (params, results) = (params.to_vec(), results.to_vec());
    let arguments: Vec<_> = params.iter().map(|param| module.locals.add(*param)).collect();
    let mut builder = FunctionBuilder::new(&mut module.types, &params, &results);
    let mut body = builder.func_body();
    for argument in &arguments {
        body.local_get(*argument);
    }
    body.i32_const(slot).call_indirect(ty, table);
    module.funcs.get_mut(function).kind = FunctionKind::Local(builder.local_func(arguments));
}

fn replace_functions(items: &mut ElementItems, replace: impl Fn(FunctionId) -> FunctionId) {
    match items {
        ElementItems::Functions(functions) => functions.iter_mut().for_each(|id| *id = replace(*id)),
        ElementItems::Expressions(_, expressions) => {
            for expression in expressions {
                if let ConstExpr::RefFunc(id) = expression {
                    *id = replace(*id);
                }
            }
        }
    }
}

/// Returns the functions of the table that belong to a module: runs of consecutive slots, each with its first slot.
fn elements(module: &Module, table: TableId, own: &HashSet<FunctionId>) -> Result<Vec<(i32, Vec<FunctionId>)>> {
    let mut runs: Vec<(i32, Vec<FunctionId>)> = Vec::new();
    for element in module.elements.iter() {
        let ElementKind::Active { table: other, offset: ConstExpr::Value(ir::Value::I32(offset)) } = &element.kind
        else {
            continue;
        };
        if *other != table {
            continue;
        }
        let functions: Vec<Option<FunctionId>> = match &element.items {
            ElementItems::Functions(functions) => functions.iter().copied().map(Some).collect(),
            ElementItems::Expressions(_, expressions) => expressions
                .iter()
                .map(|expression| if let ConstExpr::RefFunc(id) = expression { Some(*id) } else { None })
                .collect(),
        };
        for (slot, id) in (*offset..).zip(functions) {
            let Some(id) = id.filter(|id| own.contains(id)) else { continue };
            match runs.last_mut() {
                Some((first, run)) if *first + i32::try_from(run.len())? == slot => run.push(id),
                _ => runs.push((slot, vec![id])),
            }
        }
    }
    Ok(runs)
}

/// Returns the bytes at these addresses.
fn bytes_mut<'a>(module: &'a mut Module, addresses: &Range<u32>) -> Result<&'a mut [u8]> {
    let ids: Vec<_> = module.data.iter().map(walrus::Data::id).collect();
    let found = ids.into_iter().find_map(|id| {
        let data = module.data.get(id);
        let DataKind::Active { offset: ConstExpr::Value(ir::Value::I32(start)), .. } = &data.kind else { return None };
        let start = addresses.start.checked_sub(start.cast_unsigned())? as usize;
        let range = start..start + addresses.len();
        (range.end <= data.value.len()).then_some((id, range))
    });
    let (id, range) = found.context("data is in no segment")?;
    module.data.get_mut(id).value.get_mut(range).context("data is in no segment")
}

/// Returns the data segments of a module. Pieces with a gap of at most [`MAX_GAP`] bytes become one segment.
fn segments(module: &mut Module, plan: &Plan, owner: Owner) -> Result<Vec<(u32, Vec<u8>)>> {
    let mut segments: Vec<(u32, Vec<u8>)> = Vec::new();
    for (addresses, _) in plan.moved_data().iter().filter(|(_, other)| *other == owner) {
        let bytes = bytes_mut(module, addresses)?.to_vec();
        if let Some((start, last)) = segments.last_mut() {
            let end = *start + u32::try_from(last.len())?;
            let gap = end..addresses.start;
            let is_padding = |gap: &Range<u32>| {
                !plan.moved_data().iter().any(|(other, _)| other.start < gap.end && gap.start < other.end)
            };
            if gap.len() <= MAX_GAP as usize
                && is_padding(&gap)
                && (gap.is_empty() || bytes_mut(module, &gap)?.iter().all(|byte| *byte == 0))
            {
                last.extend(gap.map(|_| 0));
                last.extend(bytes);
                continue;
            }
        }
        segments.push((addresses.start, bytes));
    }
    Ok(segments)
}

/// Removes all data, and all functions from the table.
fn clear(module: &mut Module) {
    let elements: Vec<_> = module.elements.iter().map(walrus::Element::id).collect();
    for table in module.tables.iter_mut() {
        table.elem_segments.clear();
    }
    for element in elements {
        module.elements.delete(element);
    }
    let data: Vec<_> = module.data.iter().map(walrus::Data::id).collect();
    for memory in module.memories.iter_mut() {
        memory.data_segments.clear();
    }
    for data in data {
        module.data.delete(data);
    }
}

fn add_data(module: &mut Module, memory: MemoryId, address: u32, bytes: Vec<u8>) {
    let offset = ConstExpr::Value(ir::Value::I32(address.cast_signed()));
    let data = module.data.add(DataKind::Active { memory, offset }, bytes);
    module.memories.get_mut(memory).data_segments.insert(data);
}

/// An item that all modules use.
enum Item {
    Table(TableId),
    Memory(MemoryId),
    Global(walrus::GlobalId),
}

/// Returns the items that all modules use, with their export names.
fn shared_items(module: &Module) -> Vec<(String, Item)> {
    let tables = module.tables.iter().enumerate().map(|(at, table)| (format!("$t{at}"), Item::Table(table.id())));
    let memories =
        module.memories.iter().enumerate().map(|(at, memory)| (format!("$m{at}"), Item::Memory(memory.id())));
    let globals = module.globals.iter().enumerate().map(|(at, global)| (format!("$g{at}"), Item::Global(global.id())));
    tables.chain(memories).chain(globals).collect()
}

fn import_items(module: &mut Module) {
    for (name, item) in shared_items(module) {
        match item {
            Item::Table(id) => {
                let import = module.imports.add("main", &name, id);
                module.tables.get_mut(id).import = Some(import);
            }
            Item::Memory(id) => {
                let import = module.imports.add("main", &name, id);
                module.memories.get_mut(id).import = Some(import);
            }
            Item::Global(id) => {
                let import = module.imports.add("main", &name, id);
                module.globals.get_mut(id).kind = GlobalKind::Import(import);
            }
        }
    }
}

/// Turns a function into an import from another module.
fn import_function(module: &mut Module, function: FunctionId, from: &str, name: &str) {
    let ty = module.funcs.get(function).ty();
    let existing = match &module.funcs.get(function).kind {
        FunctionKind::Import(imported) => Some(imported.import),
        _ => None,
    };
    match existing {
        Some(import) => {
            let import = module.imports.get_mut(import);
            import.module = from.to_owned();
            import.name = name.to_owned();
        }
        None => {
            let import = module.imports.add(from, name, function);
            module.funcs.get_mut(function).kind = FunctionKind::Import(ImportedFunction { import, ty });
        }
    }
}
