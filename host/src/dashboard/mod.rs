//! Serves the dashboard's files, which are part of the binary.
//!
//! [`files`] has the files that `host/build.rs` embeds, each also compressed, or reads them from
//! `ATLASHUB_DASHBOARD_DIR`. [`headers`] has the content security
//! policy and the other headers of the page. [`routes`] answers requests: assets by their name, and the page for every
//! address that is no API path, since the dashboard's own router reads the address.
//!
//! Deliberately absent: building the files (`cargo xtask` does that), and anything about the owner. The files are the
//! same for everybody, so they need no sign-in.

mod files;
mod headers;
mod routes;

pub(crate) use files::DashboardFiles;
pub(crate) use headers::PageHeaders;
pub(crate) use routes::*;
