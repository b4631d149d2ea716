//! The embedded default: a private Postgres and a private object store in the data folder.
//!
//! The rest of the program does not depend on whether a service is embedded: this folder provides a database URL, the
//! store's endpoint and the store's keys, like those of a configuration.
//!
//! Deliberately absent: migrations, and access to the platform's tables.
//!
//! Modules in reading order:
//! - `data_folder`: the folder, locked by one process.
//! - `error`: errors with a message of one line, which contains the remedy if one is known.
//! - `secrets`: generated secrets.
//! - `postgres`, `store`: the services.
//! - `services`: starts and stops them, and finds those of a running process.

pub mod data_folder;
mod error;
pub mod postgres;
pub mod secrets;
mod services;
pub mod store;

pub use error::EmbeddedError;
pub use services::{Embedded, EmbeddedServices, EmbeddedStoreAlone, HeldDataFolder, of_running, store_of_running};
