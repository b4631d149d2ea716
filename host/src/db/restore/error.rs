use crate::db::dump::DumpError;

/// Why an archive was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(
        "no pg_restore of version {major} or newer was found, so nothing can be restored: install the Postgres {major} \
         client programs (on Debian: `apt-get install postgresql-client-{major}`)"
    )]
    NoProgram { major: u32 },
    /// Postgres lets the platform make no scratch database. The message is Postgres's.
    #[error("Postgres refused a scratch database: {0}; `atlashub doctor` says which right is missing")]
    Refused(String),
    #[error("Postgres can't be reached")]
    Unreachable(#[source] anyhow::Error),
    /// The archive can't be restored, or not be counted then. The message is that of `pg_restore` or Postgres, without
    /// addresses and statements.
    #[error("it can't be restored: {0}")]
    Failed(String),
    /// The archive could not be read to its end.
    #[error("the archive could not be read to its end")]
    Archive(#[source] std::io::Error),
    #[error("pg_restore could not be run: {0:#}")]
    NotRun(#[source] anyhow::Error),
}

impl RestoreError {
    /// Of the connection that makes and removes scratch databases.
    pub(super) fn from_administration(error: sqlx::Error) -> Self {
        match &error {
            // 08, 53, 57P: the connection, resources, the server going down.
            sqlx::Error::Database(refusal)
                if !refusal
                    .code()
                    .is_some_and(|code| ["08", "53", "57P"].iter().any(|class| code.starts_with(class))) =>
            {
                Self::Refused(refusal.message().to_owned())
            }
            _ => Self::Unreachable(error.into()),
        }
    }

    /// Of the scratch role's own connection.
    pub(super) fn from_scratch(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(refusal) if !refusal.code().code().starts_with("57P") => {
                Self::Failed(format!("its rows can't be counted: {}", refusal.message()))
            }
            _ => Self::Unreachable(error.into()),
        }
    }
}

/// Of looking for the programs.
impl From<DumpError> for RestoreError {
    fn from(error: DumpError) -> Self {
        match error {
            DumpError::NoProgram { server_major } => Self::NoProgram { major: server_major },
            error => Self::NotRun(error.into()),
        }
    }
}
