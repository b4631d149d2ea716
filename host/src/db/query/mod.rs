//! Queries of plugins on projects' databases: each on a connection of its own, in a read-only transaction.
//!
//! `session` opens the connection, as the role [`DbRole::Query`](super::DbRole::Query). `running` starts the query and
//! returns its rows as a stream. `error` defines the errors.
//!
//! Postgres enforces that nothing is changed: the transaction is read-only, which no function can undo once the
//! transaction has a snapshot, and the role has no privilege to write. The text of a query is not checked here.

mod error;
mod running;
mod session;

pub use error::QueryError;
pub use running::{Query, QueryColumn, QueryOutcome, RunningQuery, start};
pub use session::QuerySessions;
