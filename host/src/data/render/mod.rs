//! Third stage: renders a plan as SQL statements, mostly one. Only this stage builds SQL for requests for rows.
//!
//! Names enter the SQL as [`QuotedIdent`](super::plan::QuotedIdent), types as [`SqlType`](super::schema::SqlType), and
//! values only as parameters, or in exports as settings of the session. Limits, such as the number after `LIMIT`, are
//! the exception: they are written out, because Postgres plans with them. Requests that differ only in their values
//! have the same SQL, so its prepared statement is reused.
//!
//! [`read`], [`write`] and [`export`] render the statements, [`lookups`] renders one statement for several reads by
//! key, and [`cut`] renders values that may be cut. [`filter`] and [`embed`] render conditions and embedded tables. All
//! of them use a [`writer`].

mod cut;
mod export;
mod lookups;
mod read;
mod write;

mod embed;
mod filter;

mod writer;

pub use cut::{CellPart, render_cell};
pub use export::{render_export, render_export_check};
pub use lookups::render_lookups;
pub use read::{MAX_COUNTED_ROWS, render_bounded_count, render_count, render_estimate, render_read};
pub use write::{
    MAX_AFFECTED_MARKER, MAX_RETURNED_ROWS, RETURNED_BYTES_MARKER, ResultShape, change_result_shape,
    insert_result_shape, render_delete, render_insert, render_update, render_value_check,
};
pub use writer::{Origin, Rendered, VALUE_SETTINGS};
