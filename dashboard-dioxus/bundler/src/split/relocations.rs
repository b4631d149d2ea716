//! Reads what each function of a linked module refers to, from the relocations that `--emit-relocs` keeps.
//!
//! Calls can also be read from the code. Only relocations show that a constant is the address of a function or of data.

use std::{collections::HashMap, ops::Range};

use anyhow::{Context, Result, bail};
use wasmparser::{
    DataKind, KnownCustom, Linking, Name, Operator, Parser, Payload, RelocationEntry, RelocationType, SymbolInfo,
    TypeRef,
};

/// A function or a piece of data that another one refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// A function, by its index in the linked module.
    Function(u32),
    /// A piece of data, by its position in [`Linked::data`].
    Data(usize),
}

/// A piece of data: the data of one symbol, or of several that overlap.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) addresses: Range<u32>,
    pub(super) needs: Vec<Need>,
}

/// A linked module.
#[derive(Debug, Default)]
pub(super) struct Linked {
    /// Names of functions by their index.
    pub(super) names: HashMap<u32, String>,
    /// The references of functions, by the function's index.
    pub(super) functions: HashMap<u32, Vec<Need>>,
    /// The pieces of data in the order of addresses, without overlaps.
    pub(super) data: Vec<Data>,
}

/// The parts of a linked module that its relocations refer to.
#[derive(Default)]
struct Sections<'a> {
    imported_functions: u32,
    code: Range<usize>,
    bodies: Vec<Range<usize>>,
    data: Range<usize>,
    segments: Vec<Segment>,
    symbols: Vec<SymbolInfo<'a>>,
    /// The relocations, by the name of their section, such as `reloc.CODE`.
    relocations: Vec<(String, Vec<RelocationEntry>)>,
}

/// A data segment: its bytes in the file, and the address that they are copied to.
struct Segment {
    file: Range<usize>,
    address: u32,
}

pub(super) fn read(module: &[u8]) -> Result<Linked> {
    let mut linked = Linked::default();
    let sections = Sections::read(module, &mut linked)?;
    linked.data = sections.data_symbols();
    for (name, relocations) in &sections.relocations {
        for relocation in relocations {
            let Some(need) = sections.need(relocation, &linked.data) else { continue };
            let section = if name == "reloc.CODE" { &sections.code } else { &sections.data };
            if !sections.holds(relocation, module.get(section.start + relocation.offset as usize..).unwrap_or_default())
            {
                bail!("a relocation of {name} does not match the bytes that it describes");
            }
            match name.as_str() {
                "reloc.CODE" => {
                    let function = sections.function_at(relocation).context("a relocation is in no function")?;
                    linked.functions.entry(function).or_default().push(need);
                }
                "reloc.DATA" => {
                    let address = sections.address_at(relocation).context("a relocation is in no data segment")?;
                    if let Some(data) = find(&linked.data, address).and_then(|at| linked.data.get_mut(at)) {
                        data.needs.push(need);
                    }
                }
                _ => {}
            }
        }
    }
    Ok(linked)
}

/// Returns the index in `data` of the piece at an address.
pub(super) fn find(data: &[Data], address: u32) -> Option<usize> {
    let at = data.partition_point(|data| data.addresses.start <= address).checked_sub(1)?;
    data.get(at)?.addresses.contains(&address).then_some(at)
}

impl<'a> Sections<'a> {
    fn read(module: &'a [u8], linked: &mut Linked) -> Result<Self> {
        let mut sections = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        sections.imported_functions += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::CodeSectionStart { range, .. } => sections.code = range,
                Payload::CodeSectionEntry(body) => sections.bodies.push(body.range()),
                Payload::DataSection(reader) => {
                    sections.data = reader.range();
                    for segment in reader {
                        let segment = segment?;
                        let DataKind::Active { offset_expr, .. } = segment.kind else {
                            bail!("a data segment is not copied when the module starts");
                        };
                        let Operator::I32Const { value } = offset_expr.get_operators_reader().read()? else {
                            bail!("the address of a data segment is not a constant");
                        };
                        let file = segment.range.end - segment.data.len()..segment.range.end;
                        sections.segments.push(Segment { file, address: value.cast_unsigned() });
                    }
                }
                Payload::CustomSection(section) => {
                    let name = section.name();
                    match section.as_known() {
                        KnownCustom::Linking(linking) => {
                            for subsection in linking.subsections() {
                                if let Linking::SymbolTable(symbols) = subsection? {
                                    sections.symbols = symbols.into_iter().collect::<Result<_, _>>()?;
                                }
                            }
                        }
                        KnownCustom::Reloc(relocations) => {
                            let entries = relocations.entries().into_iter().collect::<Result<_, _>>()?;
                            sections.relocations.push((name.to_owned(), entries));
                        }
                        KnownCustom::Name(names) => {
                            for names in names {
                                if let Name::Function(names) = names? {
                                    for name in names {
                                        let name = name?;
                                        linked.names.insert(name.index, name.name.to_owned());
                                    }
                                }
                            }
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        if sections.symbols.is_empty() || sections.relocations.is_empty() {
            bail!("the module contains no symbols or no relocations: link it with `--emit-relocs`");
        }
        Ok(sections)
    }

    /// Returns the data that has symbols. Symbols that overlap are one piece.
    fn data_symbols(&self) -> Vec<Data> {
        let mut ranges: Vec<Range<u32>> = self.symbols.iter().filter_map(|symbol| self.addresses(symbol)).collect();
        ranges.sort_by_key(|range| (range.start, range.end));
        let mut data: Vec<Data> = Vec::new();
        for range in ranges {
            match data.last_mut() {
                Some(last) if range.start < last.addresses.end => {
                    last.addresses.end = last.addresses.end.max(range.end);
                }
                _ => data.push(Data { addresses: range, needs: Vec::new() }),
            }
        }
        data
    }

    /// Returns the addresses of a symbol's data. `None` if the data is empty, or if it consists of zeros, which no
    /// segment contains.
    fn addresses(&self, symbol: &SymbolInfo<'_>) -> Option<Range<u32>> {
        let SymbolInfo::Data { symbol: Some(symbol), .. } = symbol else { return None };
        let start = self.segments.get(symbol.index as usize)?.address + symbol.offset;
        (symbol.size > 0).then_some(start..start + symbol.size)
    }

    fn need(&self, relocation: &RelocationEntry, data: &[Data]) -> Option<Need> {
        // Relocations of types have no symbol.
        if relocation.ty == RelocationType::TypeIndexLeb {
            return None;
        }
        let symbol = self.symbols.get(relocation.index as usize)?;
        if let SymbolInfo::Func { index, .. } = symbol {
            return Some(Need::Function(*index));
        }
        find(data, self.addresses(symbol)?.start).map(Need::Data)
    }

    /// Returns whether the bytes at a relocation contain the value that the symbol and the addend give. Compares only
    /// addresses and calls: for all other relocations, returns true.
    fn holds(&self, relocation: &RelocationEntry, found: &[u8]) -> bool {
        let Some(symbol) = self.symbols.get(relocation.index as usize) else { return false };
        let expected = match (symbol, self.addresses(symbol)) {
            (SymbolInfo::Func { index, .. }, _) => *index,
            // Addends may be negative.
            (_, Some(addresses)) => addresses.start.wrapping_add(relocation.addend as u32),
            _ => return true,
        };
        match relocation.ty {
            RelocationType::FunctionIndexLeb | RelocationType::MemoryAddrLeb | RelocationType::MemoryAddrSleb => {
                padded_leb(found) == Some(expected)
            }
            RelocationType::MemoryAddrI32 => {
                found.first_chunk().is_some_and(|bytes| u32::from_le_bytes(*bytes) == expected)
            }
            _ => true,
        }
    }

    /// Returns the index of the function that contains a relocation.
    fn function_at(&self, relocation: &RelocationEntry) -> Option<u32> {
        let position = self.code.start + relocation.offset as usize;
        let at = self.bodies.partition_point(|body| body.start <= position).checked_sub(1)?;
        self.bodies.get(at)?.contains(&position).then_some(self.imported_functions + u32::try_from(at).ok()?)
    }

    /// Returns the address in memory to which the bytes at a relocation are copied.
    fn address_at(&self, relocation: &RelocationEntry) -> Option<u32> {
        let position = self.data.start + relocation.offset as usize;
        let segment = self.segments.iter().find(|segment| segment.file.contains(&position))?;
        Some(segment.address + u32::try_from(position - segment.file.start).ok()?)
    }
}

/// Reads a number of five bytes of LEB128. The linker writes the numbers that it may change in this length.
fn padded_leb(bytes: &[u8]) -> Option<u32> {
    let bytes: &[u8; 5] = bytes.first_chunk()?;
    Some((0..).step_by(7).zip(bytes).fold(0, |value, (shift, byte)| value | u32::from(byte & 0x7f) << shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padded_number_is_read() {
        assert_eq!(padded_leb(&[0x85, 0x80, 0x80, 0x80, 0x00]), Some(5));
        // -1, signed
        assert_eq!(padded_leb(&[0xff, 0xff, 0xff, 0xff, 0x7f]), Some(u32::MAX));
        assert_eq!(padded_leb(&[0x05]), None);
    }
}
