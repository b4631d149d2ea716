//! `/projects/<id>/storage`: the buckets of a project; `…/<bucket>`: one bucket with its objects and its access.
//!
//! [`buckets`] lists buckets. An open bucket is [`bucket`] with the tabs [`objects`] and [`access`]; [`menus`] has the
//! actions of each row; [`object_sheet`] shows one object and its [`preview`]. [`deletion`] and [`transfer`] delete,
//! move and copy objects. [`upload`] sends files to the store, even while other pages are open, and [`unfinished`]
//! lists uploads that were left unfinished. [`words`] has texts for buckets and objects, [`paths`] the addresses of the
//! API.
//!
//! Folders are only prefixes of paths: no object stands for an empty folder.

mod access;
mod bucket;
mod bucket_forms;
mod buckets;
mod deletion;
mod folder_path;
mod menus;
mod object_sheet;
mod objects;
mod paths;
mod preview;
mod selection;
mod transfer;
mod unfinished;
pub mod upload;
mod words;

pub use bucket::Bucket;
pub use buckets::Storage;
