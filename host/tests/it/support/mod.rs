//! A whole AtlasHub for one test: both listeners on free ports, a platform database of its own on a real
//! Postgres, a real S3 server. Nothing is mocked.

mod app;
mod client;
mod postgres;
mod store;

pub use app::{ADMIN_TOKEN, TestApp, TestAppBuilder, TestProject};
pub use client::Client;
pub use postgres::{Postgres, free_port};
pub use store::Store;
