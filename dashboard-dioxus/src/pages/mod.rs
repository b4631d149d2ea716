//! The pages, one module each, named after their address.

mod attention;
pub mod components;
pub mod keys;
pub mod new_project;
pub mod not_found;
pub mod overview;
pub mod project;
pub mod project_settings;
pub mod projects;
mod recent_runs;
pub mod run;
pub mod runs;
pub mod sign_in;
pub mod sql;
pub mod tables;
mod store_keys;
