//! Restores on `/projects/<id>/database`: from a backup or an uploaded archive to a restored database.
//!
//! [`choose`] is the dialog "Restore…" of a backup, and [`upload`] is the button that uploads an archive, with
//! [`sending`]. Both create a plan. [`identity`] is the field for the identity that opens an encrypted backup.
//! [`steps`] shows the [`plan`], asks for the project's name, follows the run and offers the rollback. [`list`] shows
//! the restores of the project. [`words`] contains texts about restores.

mod choose;
mod identity;
mod list;
mod plan;
mod sending;
mod steps;
mod upload;
mod words;

use dioxus::prelude::*;

use crate::address;
pub(super) use choose::ChooseProject;
pub(super) use identity::{IdentityField, identity_of};
use list::RestoreList;
pub(super) use plan::TableRow;
use steps::RestoreSteps;
pub(super) use upload::UploadArchive;
pub(super) use words::{content_in_words, own_tables_first};

/// Returns the address of the page that shows a restore.
fn restore_address(project: &str, restore: &str) -> String {
    address::with_parameters(
        &format!("/projects/{project}/database"),
        &[("tab", Some("restore")), ("restore", Some(restore))],
    )
}

/// The tab "Restore" of a project's database tools.
#[component]
pub(super) fn RestorePart(project: String, name: String) -> Element {
    let open = address::use_parameter("restore");
    rsx! {
        if let Some(restore) = open {
            for restore in [restore] {
                RestoreSteps { key: "{restore}", project: project.clone(), name: name.clone(), restore }
            }
        }
        div { class: "bleed-head",
            h2 { "Restores" }
        }
        RestoreList { project, name }
    }
}
