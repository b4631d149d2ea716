//! Exports: files with the rows of a table or query, or with a database.
//!
//! [`dialog`] asks for the format and starts an export. [`form`] contains its fields. [`follow`] shows one export until
//! its file can be downloaded. [`list`] shows the exports of a project on the page of database tools. [`acts`]
//! downloads, cancels and deletes exports. [`words`] contains the texts.

mod acts;
mod dialog;
mod follow;
mod form;
mod list;
mod words;

pub(super) use dialog::ExportDialog;
pub(super) use form::Choice;
pub(super) use list::{ExportsHeadButton, ExportsPart};
pub(super) use words::whole_table;

/// Query parameter that names the open export: its id, or [`NEW`] while the owner sets up a new one.
pub(super) const PARAMETER: &str = "export";
pub(super) const NEW: &str = "new";
