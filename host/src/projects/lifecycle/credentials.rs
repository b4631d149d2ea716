//! The passwords of projects' roles, stored sealed.

use futures_util::{FutureExt, future::BoxFuture};
use sqlx::{Connection, PgPool};

use super::{database, queries};
use crate::{
    config::Secret,
    db::{Credentials, DbError, DbRole},
    secrets::{SealedColumn, Sealer},
};

/// Password of a project's role.
pub(in crate::projects) const SEALED_PASSWORD: SealedColumn = SealedColumn {
    table: "project_db_creds",
    column: "sealed",
    key_columns: &["project_id", "role"],
    identity: "project_db_creds/{project_id}/{role}",
};

/// Returns the identity that the password of a role is sealed for.
pub(super) fn password_identity(project: &str, role: DbRole) -> String {
    SEALED_PASSWORD.identity(&[&project, &role.suffix()])
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
        let sealed = queries::credential(&self.platform, project, role)
            .await
            .map_err(|error| DbError::Unreachable(error.into()))?
            .ok_or(DbError::Gone)?;
        let plain = self
            .sealer
            .open(&sealed, &password_identity(project, role))
            .map_err(|error| DbError::Unreachable(error.into()))?;
        let text = std::str::from_utf8(&plain).map_err(|error| DbError::Unreachable(error.into()))?;
        Ok(Secret::new(text))
    }

    async fn reset_role(&self, project: &str, role: DbRole) -> Result<(), DbError> {
        let password = self.open(project, role).await?;
        let set = async {
            let mut connection = database::connect_as_platform(&self.database_url, None).await?;
            let result = database::reset_role(&mut connection, project, role, password.expose()).await;
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
        self.reset_role(project, role).boxed()
    }
}
