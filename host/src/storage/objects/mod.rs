//! Operations on objects. They require the secret key, or are the owner's.
//!
//! - `list`, `delete`: pages of objects and folders, and the removal of one object.
//! - `detail`, `count`, `transfer`: the properties of one object, the size of a folder, and moves and copies.
//! - `delete_many`: the steps in which a run deletes many objects.

mod count;
mod delete;
mod delete_many;
mod detail;
mod list;
mod transfer;

pub(super) use count::count_objects;
pub(super) use delete::delete_object;
pub use delete_many::{BulkDeletion, DeletionStep};
pub(super) use detail::get_object;
pub(super) use list::list_objects;
pub(super) use transfer::{Transfer, transfer_object};
