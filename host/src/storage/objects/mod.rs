//! Operations on objects, for the owner. Apps can use `list` and `delete` with the secret key.
//!
//! - `list`, `delete`: pages of objects and folders, and the removal of one object.
//! - `detail`, `count`, `transfer`: the properties of one object, the number and size of the objects under a prefix,
//!   and moves and copies.
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
pub(super) use detail::{get_object, stored_object};
pub(super) use list::list_objects;
pub(super) use transfer::{Transfer, transfer_object};
