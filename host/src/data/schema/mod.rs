//! The schema `public` as one role sees it: the planner's only source of names.
//!
//! [`model`] defines the types and [`describe`] their form for clients. [`load`] queries Postgres's catalogue,
//! [`catalogue`] converts the result, with [`types`]. [`usage`] grants USAGE on the schemas of the types, and
//! [`privileges`] the privileges of a schema `public` that was created again. [`cache`] keeps a schema for each project
//! and role. [`names`] lists the names of all schemas for completion; the planner does not use it.

mod cache;
mod catalogue;
mod describe;
mod load;
mod model;
mod names;
mod privileges;
mod types;
mod usage;

pub use cache::{RefreshReason, SchemaCache};
pub use model::{
    AcceptedWrites, Column, Comparable, ForeignKey, Generated, JsonInput, OperatorName, ProjectCode, ResultForm,
    Schema, SqlType, Table, TypeClass, TypeOperators, UniqueKey,
};
pub use names::{names, names_version};

#[cfg(test)]
pub(in crate::data) use catalogue::from_catalogue_json;
