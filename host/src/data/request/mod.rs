//! First stage: parses the query string and the JSON body. It does not know the schema, so names are not checked yet.
//!
//! [`read`], [`cell`], [`write`], [`changes`] and [`export`] parse whole requests. [`query`] splits the query string;
//! [`filter`], [`select`] and [`order`] parse its parameters with a [`scanner`], [`embed`] those of embedded tables.
//! [`row`] parses JSON objects. [`viewer`] parses the caller as whom the owner reads rows.

mod cell;
mod changes;
mod export;
mod read;
mod write;

mod query;
mod viewer;

mod embed;
mod filter;
mod order;
mod select;

mod row;
mod scanner;

pub use cell::CellRequest;
pub use changes::{ChangeRequest, ChangesRequest};
pub use embed::{EmbedOptions, embed_paths};
pub(in crate::data) use export::ExportField;
pub use export::{ExportRequest, RowSelection};
pub use filter::{Condition, Filter, Group, Join, Operator};
pub use order::{Direction, Nulls, OrderItem};
pub use read::{Count, ReadRequest};
pub use row::Row;
pub use select::{Embed, SelectItem};
pub use viewer::Viewer;
pub use write::{DeleteRequest, InsertRequest, Resolution, Returning, UpdateRequest};
