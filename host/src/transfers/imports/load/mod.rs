//! Loads a file into its table, in one transaction of the project's owner.
//!
//! There are two methods. The direct method copies the rows of a CSV file into the table with one `COPY`. It is fast,
//! and is used for inserts in which a single bad row undoes everything. It reports a row that can't be read. If
//! Postgres refuses the rows, the file is read again with the staged method, which finds the bad ones.
//!
//! The staged method copies each row as a JSON object, with its line, into a temporary table. Then `INSERT … SELECT`
//! moves the rows, all at once or in chunks. If a statement fails, its rows are divided in halves until the bad ones
//! are found. With both methods, Postgres's own input functions read the values.
//!
//! Reading order: `transaction` (the whole import), `reader` (the rows of the file as lines of a `COPY`), `statements`
//! (the SQL), `staged` (moves the rows and finds bad ones), `faults` (describes them), `sequences`.

mod faults;
mod reader;
mod sequences;
mod staged;
mod statements;
mod transaction;

pub(super) use transaction::{Load, Loaded, load};
