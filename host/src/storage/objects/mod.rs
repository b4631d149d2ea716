//! Listing and removal of objects, for the secret key and the owner.

mod delete;
mod list;

pub(super) use delete::delete_object;
pub(super) use list::list_objects;
