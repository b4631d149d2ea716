//! The pages, one module each, and the parts that several pages share.

mod allowed_origins;
mod attention;
pub mod audit;
pub mod backups;
mod code_tabs;
pub mod components;
mod cursor_paging;
mod exports;
mod filter_text;
mod imports;
pub mod jobs;
pub mod keys;
pub mod new_project;
pub mod not_found;
mod not_saved;
pub mod notifications;
pub mod overview;
pub mod plugins;
pub mod project;
pub mod project_settings;
pub mod projects;
mod recent_runs;
mod refresh;
mod restore;
mod run_message;
pub mod runs;
pub mod settings;
pub mod sign_in;
pub mod sql;
pub mod storage;
mod store_keys;
mod submit_key;
pub mod tables;
pub mod users;

pub use store_keys::NewKeysDialog;
