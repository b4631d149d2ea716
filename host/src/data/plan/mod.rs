//! Second stage: turns a request into a plan. Every name is resolved against the schema; an unknown name ends the
//! request with an error. Nothing here has a connection.
//!
//! [`model`] defines the plans. [`read`], [`insert`], [`change`] (update, delete) and [`export`] create them; [`write`]
//! contains the code that inserts and changes share; [`changes`] plans one of several changes. [`filter`] and
//! [`output`] plan conditions and selected columns, [`embed`] embedded tables. [`lookup`] decides which reads can share
//! a statement. [`resolve`] looks up names. Only this stage can create a [`QuotedIdent`].

mod model;

mod change;
mod changes;
mod export;
mod insert;
mod read;

mod write;

mod embed;
mod filter;
mod lookup;
mod output;

mod ident;
mod resolve;

pub use change::{plan_delete, plan_update};
pub use changes::{RowChangePlan, plan_row_change};
pub use export::plan_export;
pub use ident::{QuotedIdent, TableRef};
pub use insert::{column_json, plan_insert, rows_json};
pub use model::{
    Cast, CellPlan, CellValue, ChangePlan, ColumnRef, Conflict, CutForm, DeletePlan, EmbedPlan, EmbedShape, ExportPlan,
    GroupRows, InsertGroup, InsertPlan, IsValue, JoinColumns, Keyset, ListPlan, OrderTerm, Output, Predicate, ReadPlan,
    ReturnedRows, SqlOperator, Test, UpdatePlan, WriteOutput,
};
pub use read::{plan_cell, plan_read};
