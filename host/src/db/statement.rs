use std::{error::Error, sync::Arc};

use bytes::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

/// The five roles of a project's database; each has a sealed credential of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DbRole {
    /// Owns schema `public`; the SQL editor and schema changes.
    Owner,
    /// DML past row-level security; the secret key.
    App,
    /// The publishable key.
    Anon,
    /// A signed-in user.
    User,
    /// Dumps.
    Backup,
}

impl DbRole {
    pub const ALL: [Self; 5] = [Self::Owner, Self::App, Self::Anon, Self::User, Self::Backup];

    /// Last part of the role's name in Postgres: `proj_<id>_<suffix>`.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::App => "app",
            Self::Anon => "anon",
            Self::User => "user",
            Self::Backup => "backup",
        }
    }
}

/// One SQL statement with its parameters, ready to run. Parameters go over the wire as text, so Postgres's
/// own input functions read them.
#[derive(Debug, Clone)]
pub struct Statement {
    pub text: Arc<str>,
    pub params: Vec<Option<Arc<str>>>,
    /// False for texts that will hardly come again: they are not kept in the statement cache.
    pub cacheable: bool,
    /// Changes rows: never sent twice, and spread over more connections, since each commit waits for the disk.
    pub writes: bool,
    /// Known to take long, or to lock: runs on a connection of its own so that it holds up nobody.
    pub heavy: bool,
}

impl Statement {
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), params: Vec::new(), cacheable: true, writes: false, heavy: false }
    }

    /// Appends a parameter and answers its number, from 1.
    pub fn push(&mut self, value: Option<impl Into<Arc<str>>>) -> usize {
        self.params.push(value.map(Into::into));
        self.params.len()
    }
}

/// A parameter sent in text format, whatever its type.
#[derive(Debug)]
pub struct TextParam<'a>(pub Option<&'a str>);

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
