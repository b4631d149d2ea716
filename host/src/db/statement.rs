//! A statement with its values, and facts that decide on which connection it runs.

use std::{error::Error, fmt, sync::Arc};

use bytes::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

use super::DbError;
use crate::error::ApiError;

/// Maximum number of a statement's parameters in Postgres's protocol.
const MAX_PARAMS: usize = u16::MAX as usize;

/// The roles of a project's database. Each has its own password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DbRole {
    /// Owns schema `public`. Used by the SQL editor and for schema changes.
    Owner,
    /// Reads and writes rows, bypassing row-level security. Used for the secret key.
    App,
    /// Used for the publishable key.
    Anon,
    /// Used for signed-in users.
    User,
    /// Used for dumps.
    Backup,
    /// Owns schema `auth` and its tables. Exists only in projects that have switched end-user login on.
    Auth,
    /// Reads the rows of schema `public`, bypassing row-level security. Used for queries of plugins. Exists only in
    /// projects that a plugin has queried.
    Query,
}

impl DbRole {
    pub const ALL: [Self; 7] = [Self::Owner, Self::App, Self::Anon, Self::User, Self::Backup, Self::Auth, Self::Query];
    /// The roles that every project has.
    pub const OF_EVERY_PROJECT: [Self; 5] = [Self::Owner, Self::App, Self::Anon, Self::User, Self::Backup];

    /// Returns the name of a project's role in Postgres: `proj_<id>_<suffix>`.
    pub fn name(self, project: &str) -> String {
        format!("proj_{project}_{}", self.suffix())
    }

    /// Returns the last part of the role's name in Postgres.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::App => "app",
            Self::Anon => "anon",
            Self::User => "user",
            Self::Backup => "backup",
            Self::Auth => "auth",
            Self::Query => "query",
        }
    }
}

/// An SQL statement with its parameters. Parameters are sent as text, so Postgres's input functions parse them.
#[derive(Debug, Clone)]
pub struct Statement {
    pub text: Arc<str>,
    pub params: Vec<Option<Arc<str>>>,
    /// Whether the prepared statement is cached. False for SQL that is unlikely to be used again.
    pub cacheable: bool,
    /// Whether the statement changes rows. It is then not retried after its connection was lost, and writes spread over
    /// more connections, since each commit waits for the disk.
    pub writes: bool,
    /// Whether the statement is known to take long or to lock rows. It then uses its own connection, so that no other
    /// statement waits for it.
    pub heavy: bool,
    /// Whether the statement may run SQL that the project defined: functions that views, triggers, policies, defaults,
    /// types and others call. It then runs on a connection of its own, which is reset before its next use, because such
    /// code can change the session.
    pub runs_project_code: bool,
}

impl Statement {
    /// Creates a statement without parameters, which might run code of the project.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self {
            text: text.into(),
            params: Vec::new(),
            cacheable: true,
            writes: false,
            heavy: false,
            runs_project_code: true,
        }
    }

    /// Creates a statement that can only run Postgres's own functions and operators, because it names each with its
    /// schema, or calls it with exactly its argument types. A project can define others of the same name.
    pub fn of_catalogue(text: impl Into<Arc<str>>) -> Self {
        Self { runs_project_code: false, ..Self::new(text) }
    }

    /// Checks that the statement can be sent with its parameters.
    ///
    /// # Errors
    /// Fails if there are more than [`MAX_PARAMS`].
    pub(super) fn check_params(&self) -> Result<(), DbError> {
        if self.params.len() <= MAX_PARAMS {
            return Ok(());
        }
        let error = ApiError::invalid(format!("The request has more than {MAX_PARAMS} values for one statement."));
        Err(DbError::Refused(error.with_hint("Send fewer rows, or rows with fewer columns.")))
    }

    /// Appends a parameter. Returns its number, counted from 1.
    pub fn push(&mut self, value: Option<impl Into<Arc<str>>>) -> usize {
        self.params.push(value.map(Into::into));
        self.params.len()
    }
}

/// A parameter of any type, sent in text format.
pub struct TextParam<'a>(pub Option<&'a str>);

/// Leaves out the value, which must not be logged.
impl fmt::Debug for TextParam<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TextParam(…)")
    }
}

impl ToSql for TextParam<'_> {
    fn to_sql(&self, _ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self.0 {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }

    fn encode_format(&self, _ty: &Type) -> Format {
        Format::Text
    }

    tokio_postgres::types::to_sql_checked!();
}
