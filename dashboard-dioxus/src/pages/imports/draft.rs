//! The owner's choices for an import. They survive a reload of the page.

use std::collections::BTreeMap;

use api_types::{ImportMode, OnImportError, PreviewImport};
use dioxus::prelude::*;
use serde::{Deserialize, Serialize};

use crate::draft;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Draft {
    /// Whether the beginning of the file is UTF-8. `None` if this tab did not read the file.
    pub(super) is_utf8: Option<bool>,
    /// This and the next two fields say how a CSV file is read. The server detects `header` and `delimiter` if they are
    /// `None`. If `null_text` is `None`, an empty field means `NULL`.
    pub(super) header: Option<bool>,
    pub(super) delimiter: Option<String>,
    pub(super) null_text: Option<String>,
    /// Columns that the owner chose, by field. `None` leaves a field out.
    pub(super) mapping: BTreeMap<String, Option<String>>,
    pub(super) mode: ImportMode,
    /// Columns of the key of an upsert. `None` is the primary key, or else the table's first unique key.
    pub(super) conflict: Option<Vec<String>>,
    pub(super) on_error: OnImportError,
    pub(super) override_identity: bool,
}

impl Draft {
    /// Returns the settings for reading the file.
    pub(super) fn hints(&self) -> PreviewImport {
        PreviewImport {
            header: self.header,
            delimiter: self.delimiter.clone(),
            null_text: self.null_text.clone().filter(|text| !text.is_empty()),
        }
    }
}

fn name(import: &str) -> String {
    format!("import.{import}")
}

pub(super) fn use_draft(import: &str) -> Signal<Draft> {
    draft::use_draft(&name(import), Draft::default())
}

/// Stores the first draft of an import before its page opens.
pub(super) fn prepare(import: &str, values: &Draft) {
    draft::prepare(&name(import), values);
}

pub(super) fn forget(import: &str) {
    draft::forget(&name(import));
}
