//! Serves the dashboard's files, which are part of the binary unless a folder is configured.
//!
//! [`files`] finds a file among those that `host/build.rs` embedded, or in the folder `ATLASHUB_DASHBOARD_DIR`.
//! [`headers`] contains the content security policy and the other headers of the page. [`routes`] serves assets by
//! name. At every other address that is not reserved, for example for an API, it serves browsers the page, whose router
//! reads the address. The files contain no data of the owner, so they need no sign-in.
//!
//! Deliberately absent: building the files (`cargo xtask` does that).

mod files;
mod headers;
mod routes;

pub(crate) use files::DashboardFiles;
pub(crate) use headers::PageHeaders;
pub(crate) use routes::*;
