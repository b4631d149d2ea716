//! The owner's dashboard: a WebAssembly app that the admin surface serves.
//!
//! In reading order: [`startup`] starts the app and shows panics, and [`app`] shows the page at the current address.
//! [`route`] defines the addresses of the pages. [`frame`] surrounds every page except the sign-in page. [`pages`]
//! contains a folder or file for each page, and [`lazy`] loads most pages when they are opened. [`ui`] contains the
//! components that pages are built from. [`remote`] sends requests to the server. [`draft`] keeps the unsaved input of
//! forms. [`focus`] keeps the keyboard focus while an action is in progress. [`address`] reads and writes the query of
//! the address. [`run_progress`] describes how far a run is, and [`cancel_run`] asks before a run is cancelled.
//! [`value`] converts values of a database, and [`text`] writes numbers, sizes and times. [`theme`] keeps the owner's
//! choices for this browser. [`dom`] and [`clipboard`] do what Dioxus does not offer.
//!
//! Deliberately absent: `document::eval`, `document::Title` and everything else that runs text as JavaScript, because
//! the content security policy forbids it; query parameters in the router, because it would decode them wrongly.
//! [`address`] decodes them.

pub mod address;
pub mod app;
pub mod cancel_run;
pub mod clipboard;
pub mod dom;
pub mod draft;
pub mod focus;
pub mod frame;
pub mod lazy;
pub mod pages;
pub mod remote;
pub mod route;
pub mod run_progress;
pub mod startup;
pub mod text;
pub mod theme;
pub mod ui;
pub mod value;
