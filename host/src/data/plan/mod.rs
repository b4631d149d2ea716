//! Second stage: a request → a plan, against one schema. Every name is resolved here or the request ends with an
//! error that names it; nothing here holds a connection.

mod filter;
mod ident;
mod insert;
mod output;
mod read;
mod resolve;
mod write;

pub use filter::{Cast, IsValue, Predicate, SqlOperator, Test};
pub use ident::QuotedIdent;
pub use insert::{Conflict, GroupRows, InsertGroup, InsertPlan, plan_insert};
pub use output::{EmbedPlan, EmbedShape, Output};
pub use read::{Keyset, OrderTerm, ReadPlan, plan_read};
pub use resolve::ColumnRef;
pub use write::{Answer, Answered, CellValue, DeletePlan, Target, UpdatePlan, plan_delete, plan_update};
