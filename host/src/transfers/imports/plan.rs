//! Checks a request to import, and assigns fields of the file to columns of the table.

use std::collections::BTreeMap;

use api_types::{ImportFormat, ImportMode, OnImportError, StartImport};
use serde::{Deserialize, Serialize};

use super::{
    detect::Head,
    parse::RecordError,
    target::{Column, Target},
};
use crate::{
    error::{ApiError, ApiResult},
    transfers::invalid_field,
};

/// Maximum length of a key in a JSON file. The key is the name of a column in a statement, and Postgres truncates
/// longer names.
const MAX_SOURCE_BYTES: usize = 63;

/// A checked request to import, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Plan {
    pub(super) columns: Vec<PlannedColumn>,
    pub(super) mode: ImportMode,
    /// Columns of the key, for an upsert.
    pub(super) conflict: Vec<String>,
    pub(super) on_error: OnImportError,
    pub(super) dry_run: bool,
    pub(super) override_identity: bool,
    /// `None` for JSON.
    pub(super) csv: Option<CsvPlan>,
}

/// The format of a CSV file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CsvPlan {
    pub(super) delimiter: char,
    pub(super) header: bool,
    pub(super) null_text: Option<String>,
    /// Number of fields that each row must have.
    pub(super) fields: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PlannedColumn {
    /// Name of the field in the file.
    pub(super) source: String,
    /// Index of the field in a CSV file, from 0.
    pub(super) position: usize,
    /// Name of the column.
    pub(super) target: String,
}

/// Finds the column of a field by its name. In CSV files, case and surrounding spaces may differ if only one column
/// matches.
pub(super) fn column_of<'t>(target: &'t Target, source: &str, format: ImportFormat) -> Option<&'t Column> {
    target.column(source).or_else(|| {
        let name = source.trim().to_lowercase();
        let mut similar = target.columns.iter().filter(|column| column.name.to_lowercase() == name);
        let column = similar.next().filter(|_| format == ImportFormat::Csv)?;
        similar.next().is_none().then_some(column)
    })
}

impl Plan {
    /// Checks a request.
    pub(super) fn new(request: &StartImport, head: &Head, target: &Target, format: ImportFormat) -> ApiResult<Self> {
        let columns = match &request.mapping {
            Some(mapping) => mapped_columns(mapping, head, target, format, request.override_identity)?,
            None => columns_by_name(head, target, format, request),
        };
        if columns.is_empty() {
            return Err(invalid_field("mapping", "No field of the file belongs to a column of the table.").with_hint(
                "Send `mapping` with the name of a column for each field. `preview` lists the fields of the file.",
            ));
        }
        let mut sources_of = BTreeMap::new();
        for column in &columns {
            if let Some(other) = sources_of.insert(&column.target, &column.source) {
                return Err(invalid_mapping(
                    &column.source,
                    format!(
                        "The fields `{other}` and `{}` are both mapped to the column `{}`.",
                        column.source, column.target
                    ),
                ));
            }
        }
        let conflict = match request.mode {
            ImportMode::Insert if request.conflict.is_some() => {
                return Err(invalid_field("conflict", "`conflict` is only for the mode `upsert`."));
            }
            ImportMode::Insert => Vec::new(),
            ImportMode::Upsert => key(request.conflict.as_deref(), &columns, target)?,
        };
        Ok(Self {
            columns,
            mode: request.mode,
            conflict,
            on_error: request.on_error,
            dry_run: request.dry_run,
            override_identity: request.override_identity,
            csv: head.csv.clone(),
        })
    }

    /// Returns the column of the field that an error concerns.
    pub(super) fn column_of_error(&self, error: &RecordError) -> Option<String> {
        let field = error.field.as_ref()?;
        self.columns.iter().find(|column| column.source == *field).map(|column| column.target.clone())
    }

    /// Returns whether the direct method can be used: every row of a CSV file is inserted, or none.
    pub(super) fn is_direct(&self) -> bool {
        self.csv.is_some() && self.mode == ImportMode::Insert && self.on_error == OnImportError::Abort && !self.dry_run
    }
}

fn mapped_columns(
    mapping: &BTreeMap<String, Option<String>>,
    head: &Head,
    target: &Target,
    format: ImportFormat,
    override_identity: bool,
) -> ApiResult<Vec<PlannedColumn>> {
    let mut columns = Vec::new();
    for (source, name) in mapping {
        let position = head.sources.iter().position(|known| known == source);
        // An object of a JSON file may have keys that the first ones do not have.
        if position.is_none() && format == ImportFormat::Csv {
            let fields = head.sources.join(", ");
            return Err(invalid_mapping(source, format!("The file has no field `{source}`. Its fields: {fields}.")));
        }
        let Some(name) = name else { continue };
        let Some(column) = target.column(name) else {
            let names: Vec<&str> = target.columns.iter().map(|column| column.name.as_str()).collect();
            let message = format!("The table has no column `{name}`. Its columns: {}.", names.join(", "));
            return Err(invalid_mapping(source, message));
        };
        if let Some(problem) = why_not_writable(column, override_identity) {
            return Err(invalid_mapping(source, problem).with_hint(format!("Map `{source}` to null to leave it out.")));
        }
        if source.len() > MAX_SOURCE_BYTES && format != ImportFormat::Csv {
            let message = format!("Keys longer than {MAX_SOURCE_BYTES} bytes can't be mapped.");
            return Err(invalid_mapping(source, message));
        }
        let position = position.unwrap_or_default();
        columns.push(PlannedColumn { source: source.clone(), position, target: name.clone() });
    }
    columns.sort_by_key(|column| column.position);
    Ok(columns)
}

/// Creates a 400 about the column of a field of the file. The detail `source` names that field.
fn invalid_mapping(source: &str, message: String) -> ApiError {
    invalid_field("mapping", message).with_detail("source", source.into())
}

/// Matches fields and columns by name, without columns that can't be written.
fn columns_by_name(head: &Head, target: &Target, format: ImportFormat, request: &StartImport) -> Vec<PlannedColumn> {
    let is_writable = |column: &Column| why_not_writable(column, request.override_identity).is_none();
    let planned = |position: usize, source: &str, column: &Column| PlannedColumn {
        source: source.to_owned(),
        position,
        target: column.name.clone(),
    };
    if format != ImportFormat::Csv {
        let is_source = |column: &Column| head.sources.contains(&column.name);
        // Later objects may have other keys, so an insert uses all columns if one of them is in the first objects. But
        // an upsert must not change columns that are not in the file. A file without objects matches every table.
        let any_key =
            head.rows.is_empty() || (request.mode == ImportMode::Insert && target.columns.iter().any(is_source));
        let columns = target.columns.iter().filter(|column| is_writable(column) && (any_key || is_source(column)));
        return columns.map(|column| planned(0, &column.name, column)).collect();
    }
    let fields = head.sources.iter().enumerate();
    let matching = fields.filter_map(|(position, source)| Some((position, source, column_of(target, source, format)?)));
    matching
        .filter(|(_, _, column)| is_writable(column))
        .map(|(position, source, column)| planned(position, source, column))
        .collect()
}

/// Returns the reason why values can't be imported into a column, if there is one.
pub(super) fn why_not_writable(column: &Column, override_identity: bool) -> Option<String> {
    if column.is_generated {
        return Some(format!("The column `{}` is generated, so Postgres computes its values.", column.name));
    }
    (column.is_always_identity && !override_identity).then(|| {
        format!(
            "The column `{}` is an identity that is always generated. Send `\"overrideIdentity\": true` to import its \
             values.",
            column.name
        )
    })
}

/// Returns the columns that identify a row.
fn key(conflict: Option<&[String]>, columns: &[PlannedColumn], target: &Target) -> ApiResult<Vec<String>> {
    let key = match conflict {
        Some(names) => target
            .keys
            .iter()
            .find(|key| key.columns.len() == names.len() && key.columns.iter().all(|column| names.contains(column))),
        None => target.keys.iter().find(|key| key.is_primary),
    };
    let Some(key) = key else {
        let keys: Vec<String> = target.keys.iter().map(|key| key.columns.join(", ")).collect();
        let message = match conflict {
            Some(_) => "`conflict` must name the columns of the primary key, or of a unique constraint or index.",
            None => "The table has no primary key, by which an upsert would find existing rows.",
        };
        let hint = match keys.as_slice() {
            [] => {
                "The table has no key. Add a primary key or a unique constraint, or use the mode `insert`.".to_owned()
            }
            keys => format!("Send the columns of one of the table's keys as `conflict`: {}", keys.join(" · ")),
        };
        return Err(invalid_field("conflict", message).with_hint(hint));
    };
    for name in &key.columns {
        if !columns.iter().any(|column| column.target == *name) {
            let message = format!(
                "An upsert finds existing rows by `{name}`, but no field of the file is mapped to this column."
            );
            return Err(invalid_field("mapping", message));
        }
    }
    Ok(key.columns.clone())
}
