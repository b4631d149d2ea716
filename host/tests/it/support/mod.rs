//! A complete AtlasHub per test: both listeners on free ports, a platform database of its own on a real Postgres, and a
//! real S3 server. Postgres and the store are never mocked.

mod app;
mod authority;
mod client;
mod event_tail;
mod eventually;
mod fault_proxy;
mod garage;
pub mod guests;
mod hang;
mod mail_server;
pub mod plugin_files;
mod postgres;
mod program;
mod proxy;
mod runner;
mod socket;
mod store;
mod uploads;
mod web_server;

pub use app::{ADMIN_TOKEN, TestApp, TestProject};
pub use authority::Authority;
pub use client::{Client, until_status};
pub use event_tail::EventTail;
pub use eventually::{eventually, eventually_blocking};
pub use fault_proxy::FaultProxy;
pub use hang::{
    HANGING_QUERY, Hang, create_hanging_query, end_sleeping, expire_leases, until_sleeping, until_waiting_for,
};
pub use mail_server::{MailServer, MailTls};
pub use postgres::{Postgres, bin_dir, bin_dir_of, free_port, major_version};
pub use program::{Ended, ProgramVars, Serving, WAIT_TIMEOUT, open_folder};
pub use proxy::Proxy;
pub use runner::{Attempt, JobsNode, TestRunner};
pub use socket::Socket;
pub use store::Store;
pub use uploads::{Uploads, code, must_send, path_of, raw, send, upload_request};
pub use web_server::{WebRequest, WebResponse, WebServer};
