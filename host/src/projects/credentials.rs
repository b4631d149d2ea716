use futures_util::{FutureExt, future::BoxFuture};
use sqlx::{Connection, PgPool};

use super::{database, queries};
use crate::{
    config::Secret,
    db::{Credentials, DbError, DbRole},
    secrets::Sealer,
};

/// What a sealed credential is bound to.
pub(super) fn identity(project: &str, role: DbRole) -> String {
    format!("project_db_creds/{project}/{}", role.suffix())
}

/// Passwords of projects' roles, sealed in the platform database.
pub struct SealedCredentials {
    platform: PgPool,
    database_url: Secret,
    sealer: Sealer,
}

impl SealedCredentials {
    pub fn new(platform: PgPool, database_url: Secret, sealer: Sealer) -> Self {
        Self { platform, database_url, sealer }
    }

    async fn open(&self, project: &str, role: DbRole) -> Result<Secret, DbError> {
        let sealed = queries::credential(&self.platform, project, role.suffix())
            .await
            .map_err(|error| DbError::Unreachable(error.into()))?
            .ok_or(DbError::Gone)?;
        let plain =
            self.sealer.open(&sealed, &identity(project, role)).map_err(|error| DbError::Unreachable(error.into()))?;
        let text = std::str::from_utf8(&plain).map_err(|error| DbError::Unreachable(error.into()))?;
        Ok(Secret::new(text))
    }

    async fn set_back(&self, project: &str, role: DbRole) -> Result<(), DbError> {
        let password = self.open(project, role).await?;
        let set = async {
            let mut connection = database::connect_as_platform(&self.database_url, None).await?;
            let result = database::reset_password(&mut connection, project, role, password.expose()).await;
            let _ = connection.close().await;
            result
        };
        set.await.map_err(|error| DbError::Unreachable(error.into()))
    }
}

impl Credentials for SealedCredentials {
    fn password<'a>(&'a self, project: &'a str, role: DbRole) -> BoxFuture<'a, Result<Secret, DbError>> {
        self.open(project, role).boxed()
    }

    fn reset<'a>(&'a self, project: &'a str, role: DbRole) -> BoxFuture<'a, Result<(), DbError>> {
        self.set_back(project, role).boxed()
    }
}
