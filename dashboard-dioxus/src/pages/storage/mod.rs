//! `/projects/<id>/storage`: the buckets of a project; `…/<bucket>`: one bucket with its objects and its access.
//!
//! [`buckets`] lists buckets. [`bucket`] is the page of one bucket, with the tabs [`objects`] and [`access`]. [`menus`]
//! contains the actions of each row. [`object_sheet`] shows one object and its [`preview`]. [`deletion`] and
//! [`transfer`] delete, rename, move and copy objects. [`new_folder`] opens a folder for its first upload. [`upload`]
//! sends files to the store, even while other pages are open, and [`unfinished`] lists uploads that were left
//! unfinished. [`words`] contains texts for buckets and objects, and [`paths`] the paths of the API.
//!
//! Folders are only prefixes of paths: no object stands for an empty folder.

mod access;
mod bucket;
mod bucket_forms;
mod buckets;
mod deletion;
mod folder_path;
mod menus;
mod new_folder;
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
