//! The properties of a type that the planner needs, derived from the catalogue's description of it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
};

use anyhow::Context;
use serde::Deserialize;

use super::{Comparable, JsonInput, ResultForm, SqlType, TypeClass, TypeOperators};

/// Maximum depth of a type: a composite type is one deeper than its deepest attribute, and a domain, array or range
/// than its base, element or bounds. This limits the recursion here and in the client library, which looks up the types
/// of parameters.
const MAX_DEPTH: usize = 64;

/// Built-in types whose equal values are always the same value. Equal values of other types may be written in several
/// ways: `1.0` and `1.00`, `1 day` and `24 hours`.
const EXACT_TYPES: [&str; 15] = [
    "bool",
    "bytea",
    "date",
    "int2",
    "int4",
    "int8",
    "macaddr",
    "name",
    "oid",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "varchar",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CatalogueType {
    pub(super) oid: u32,
    pub(super) name: String,
    /// Unquoted name of a type of `pg_catalog`; empty for other types.
    builtin: String,
    json_cast: bool,
    text_cast: bool,
    /// Whether the type has a default btree operator class.
    ordered: bool,
    operators: BTreeMap<String, String>,
    /// Name and type of each attribute of a composite type.
    attributes: Vec<(String, u32)>,
    pub(super) kind: char,
    category: char,
    pub(super) base: u32,
    pub(super) not_null: bool,
    pub(super) has_default: bool,
    element: u32,
    range: u32,
    subtype: u32,
}

/// The types of one catalogue, by oid.
pub(super) struct Types {
    types: HashMap<u32, CatalogueType>,
    /// The conversions of composite types that were already derived, by oid. Types can contain the same type several
    /// times, on every level, so a copy of the conversion for each use could need any amount of memory.
    composites: RefCell<HashMap<u32, JsonInput>>,
    /// The depths that were already computed, by oid.
    depths: RefCell<HashMap<u32, usize>>,
}

impl CatalogueType {
    /// Returns the types that this type consists of.
    fn parts(&self) -> impl Iterator<Item = u32> {
        let attributes = self.attributes.iter().map(|(_, oid)| *oid);
        // The range type of a range is the type itself.
        [self.base, self.element, self.range, self.subtype]
            .into_iter()
            .filter(|oid| *oid != 0 && *oid != self.oid)
            .chain(attributes)
    }
}

impl Types {
    pub(super) fn new(types: Vec<CatalogueType>) -> Self {
        let types = types.into_iter().map(|data_type| (data_type.oid, data_type)).collect();
        Self { types, composites: RefCell::default(), depths: RefCell::default() }
    }

    /// Returns whether a type is deeper than [`MAX_DEPTH`]. The recursive methods must not be called for such a type.
    pub(super) fn is_too_deep(&self, oid: u32) -> anyhow::Result<bool> {
        Ok(self.depth(oid, MAX_DEPTH)?.is_none())
    }

    /// Returns the depth of a type, or `None` if it is larger than `max`.
    fn depth(&self, oid: u32, max: usize) -> anyhow::Result<Option<usize>> {
        if let Some(known) = self.depths.borrow().get(&oid) {
            return Ok(Some(*known).filter(|depth| *depth <= max));
        }
        let Some(max_of_parts) = max.checked_sub(1) else { return Ok(None) };
        let mut depth = 1;
        for part in self.get(oid)?.parts() {
            match self.depth(part, max_of_parts)? {
                Some(part_depth) => depth = depth.max(part_depth + 1),
                None => return Ok(None),
            }
        }
        self.depths.borrow_mut().insert(oid, depth);
        Ok(Some(depth))
    }

    pub(super) fn get(&self, oid: u32) -> anyhow::Result<&CatalogueType> {
        self.types.get(&oid).with_context(|| format!("load.sql did not return type {oid}"))
    }

    pub(super) fn class(&self, data_type: &CatalogueType) -> anyhow::Result<TypeClass> {
        Ok(match (data_type.kind, data_type.category, data_type.builtin.as_str()) {
            ('r' | 'm', ..) => TypeClass::Range {
                range: SqlType::from_catalogue(&self.get(data_type.range)?.name),
                element: SqlType::from_catalogue(&self.get(data_type.subtype)?.name),
            },
            ('c', ..) => TypeClass::Composite,
            (_, 'A', _) => TypeClass::Array,
            (_, _, "json") => TypeClass::Json,
            (_, _, "jsonb") => TypeClass::Jsonb,
            (_, _, "tsvector") => TypeClass::TsVector,
            (_, _, "bool") => TypeClass::Boolean,
            (_, 'S', _) => TypeClass::Text,
            (_, 'D', _) => TypeClass::Time,
            _ if is_hstore(data_type) => TypeClass::Hstore,
            _ => TypeClass::Other,
        })
    }

    /// Returns the cheapest form from which the JSON of `row_to_json` can be built.
    pub(super) fn result_form(&self, data_type: &CatalogueType) -> ResultForm {
        match (data_type.kind, data_type.builtin.as_str()) {
            (
                _,
                "bool" | "int2" | "int4" | "int8" | "text" | "varchar" | "bpchar" | "json" | "jsonb" | "uuid" | "date"
                | "timestamp" | "timestamptz",
            ) => ResultForm::Plain,
            (_, "float4" | "float8" | "numeric") => ResultForm::Number,
            // Enums of a project are sent as text, so that results do not contain their OIDs.
            ('e', _) if !data_type.json_cast && !data_type.text_cast => ResultForm::Text,
            _ => ResultForm::Json,
        }
    }

    /// Returns whether the JSON of a value is a number, a keyword or a string that the type's input function accepts.
    pub(super) fn is_json_scalar(&self, data_type: &CatalogueType) -> bool {
        let is_scalar_kind = matches!(data_type.kind, 'b' | 'e' | 'r' | 'm') && data_type.category != 'A';
        is_scalar_kind && !data_type.json_cast && !matches!(data_type.builtin.as_str(), "json" | "jsonb")
    }

    pub(super) fn comparable(&self, data_type: &CatalogueType) -> anyhow::Result<Comparable> {
        // A domain over an array has the category of an array, but no elements of its own.
        if data_type.kind == 'd' {
            return self.comparable(self.get(data_type.base)?);
        }
        if data_type.category == 'A' {
            return self.comparable(self.get(data_type.element)?);
        }
        if data_type.kind == 'b' && data_type.builtin.is_empty() {
            return Ok(match (data_type.ordered, data_type.operators.contains_key("=")) {
                (true, _) => Comparable::Ordered,
                (false, true) => Comparable::Equality,
                (false, false) => Comparable::No,
            });
        }
        Ok(match data_type.builtin.as_str() {
            "json" | "xml" | "point" | "polygon" | "jsonpath" | "txid_snapshot" | "pg_snapshot" | "refcursor" => {
                Comparable::No
            }
            "line" | "lseg" | "path" | "box" | "circle" | "xid" | "cid" | "aclitem" => Comparable::Equality,
            _ => Comparable::Ordered,
        })
    }

    pub(super) fn operators(&self, data_type: &CatalogueType) -> TypeOperators {
        TypeOperators::from_catalogue(&data_type.operators)
    }

    /// Returns whether `::text` may return a different string than the type's output function.
    pub(super) fn has_text_cast(&self, data_type: &CatalogueType) -> bool {
        data_type.text_cast
    }

    /// Returns whether equal values are the same value. `deterministic` is a property of the column's collation.
    pub(super) fn is_exact(&self, data_type: &CatalogueType, deterministic: bool) -> bool {
        data_type.kind == 'e' || (deterministic && EXACT_TYPES.contains(&data_type.builtin.as_str()))
    }

    /// Returns the conversion from JSON to a value of the type.
    pub(super) fn json_input(&self, data_type: &CatalogueType) -> anyhow::Result<JsonInput> {
        Ok(match (data_type.kind, data_type.category) {
            ('d', _) => self.json_input(self.get(data_type.base)?)?,
            ('c', _) => {
                if let Some(known) = self.composites.borrow().get(&data_type.oid) {
                    return Ok(known.clone());
                }
                let attribute = |(name, oid): &(String, u32)| -> anyhow::Result<(String, JsonInput)> {
                    Ok((name.clone(), self.json_input(self.get(*oid)?)?))
                };
                let attributes: Vec<_> = data_type.attributes.iter().map(attribute).collect::<anyhow::Result<_>>()?;
                let input = JsonInput::Composite(attributes.into());
                self.composites.borrow_mut().insert(data_type.oid, input.clone());
                input
            }
            (_, 'A') => match self.json_input(self.get(data_type.element)?)? {
                JsonInput::Native => JsonInput::Native,
                element => JsonInput::Array(Box::new(element)),
            },
            _ if is_hstore(data_type) => JsonInput::Hstore,
            _ if matches!(data_type.builtin.as_str(), "json" | "jsonb") => JsonInput::Json,
            _ => JsonInput::Native,
        })
    }
}

/// Returns whether a type is `hstore`. The extension can be in any schema, so the type is recognized by its name and
/// its conversion to JSON.
fn is_hstore(data_type: &CatalogueType) -> bool {
    data_type.kind == 'b' && data_type.json_cast && data_type.builtin.is_empty() && data_type.name.ends_with(".hstore")
}
