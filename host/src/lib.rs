//! AtlasHub: a personal, self-hosted backend platform.
//!
//! The modules are declared by floor, lowest first. `docs/ARCHITECTURE.md` explains the floors.

pub mod config;
pub mod error;

pub mod db;
pub mod disk;
pub mod egress;
pub mod http;
pub mod object_store;
pub mod secrets;

pub mod embedded;
pub mod projects;

pub mod auth;
pub mod data;
pub mod jobs;
pub mod notifications;
pub mod sql_editor;
pub mod storage;
pub mod tables;

pub mod plugins;
pub mod sql_runs;
pub mod storage_runs;

pub mod backups;
pub mod transfers;

pub mod admin;
pub mod events;

pub mod app;
mod dashboard;
mod health;
mod observability;
pub mod router;

pub mod cli;
