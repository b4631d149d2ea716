//! The embedded default: a private Postgres and a private object store under the data folder.
//!
//! Nothing above this folder knows whether a service is embedded: what leaves it is a database URL and the
//! store's endpoint with its keys, as they would come from the configuration. Not in here: migrations, and
//! anything that speaks to the platform's tables.

pub mod data_folder;
mod error;
pub mod postgres;
pub mod secrets;

pub use error::EmbeddedError;
