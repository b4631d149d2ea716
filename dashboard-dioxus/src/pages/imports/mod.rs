//! Imports of files into tables, as steps on the page of database tools.
//!
//! [`file`] is the first step: [`inspect`] detects the format of a chosen file, and [`upload`] sends the file to the
//! store, even while other pages are open. [`steps`] shows an import: its [`preview`], which field goes into which
//! column ([`columns`]), how rows are written ([`rules`]), and the result of a run ([`outcome`]). [`draft`] contains
//! the owner's choices, which survive a reload. [`plan`] checks them against the table. [`list`] shows the imports of a
//! project. [`words`] contains texts about imports.

mod columns;
mod draft;
mod file;
mod inspect;
mod list;
mod outcome;
mod plan;
mod preview;
mod rules;
mod steps;
mod upload;
mod words;

use dioxus::prelude::*;

use crate::address;
use file::NewImport;
pub(super) use inspect::{first_part_of_csv, part_of};
use list::ImportList;
use steps::ImportSteps;

/// Parameter of the address with the id of the open import.
pub(super) const PARAMETER: &str = "import";
/// Parameter of the address with the table of a new import.
const TABLE: &str = "table";

/// Returns the address of a new import into a table.
pub(super) fn new_address(project: &str, table: Option<&str>) -> String {
    address::with_parameters(&format!("/projects/{project}/database"), &[("tab", Some("import")), (TABLE, table)])
}

/// Returns the address of an import.
fn import_address(project: &str, import: &str) -> String {
    let path = format!("/projects/{project}/database");
    address::with_parameters(&path, &[("tab", Some("import")), (PARAMETER, Some(import))])
}

/// The tab "Import" of a project's database tools.
#[component]
pub(super) fn ImportsPart(project: String) -> Element {
    let open = address::use_parameter(PARAMETER);
    rsx! {
        section { class: "section import-steps", "aria-label": "Import",
            match open {
                // Dioxus compares keys only in lists, so this is a list of one element: another import must create a
                // new component.
                Some(import) => rsx! {
                    for import in [import] {
                        ImportSteps { key: "{import}", project: project.clone(), import }
                    }
                },
                None => rsx! { NewImport { project: project.clone() } },
            }
        }
        ImportList { project }
    }
}
