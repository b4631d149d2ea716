//! Exports: files with the rows of a table or query, or with a database.
//!
//! [`dialog`] asks for the format and starts an export; [`form`] has its fields. [`follow`] shows one export until its
//! file can be downloaded. [`list`] has the exports of a project, for its page of database tools. [`acts`] downloads,
//! cancels and deletes, [`words`] has texts.

mod acts;
mod dialog;
mod follow;
mod form;
mod list;
mod words;

pub(super) use dialog::ExportDialog;
pub(super) use form::Choice;
pub(super) use list::{ExportsHeadButton, ExportsPart};

/// Parameter of the address with the open export: its id, or [`NEW`] while the owner chooses.
pub(super) const PARAMETER: &str = "export";
pub(super) const NEW: &str = "new";
