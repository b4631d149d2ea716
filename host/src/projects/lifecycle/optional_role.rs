//! Creates a role that only some projects have.

use postgres_protocol::escape::escape_identifier as ident;
use sqlx::{PgConnection, PgPool};

use super::{credentials::password_identity, database, queries};
use crate::{
    config::Secret,
    db::{DbRole, project_database},
    error::{ApiError, ApiResult},
    secrets::{self, Sealer},
};

/// A role that is created when a project first needs it.
pub(super) struct OptionalRole<'a> {
    pub(super) platform: &'a PgPool,
    pub(super) database_url: &'a Secret,
    pub(super) sealer: &'a Sealer,
    pub(super) role: DbRole,
}

impl OptionalRole<'_> {
    /// Creates the role with its stored password, and lets it connect to the project's database. It is idempotent.
    ///
    /// Returns the platform's connection. It holds a lock until it is closed, because several nodes may create the role
    /// at the same time.
    pub(super) async fn create(&self, project: &str) -> ApiResult<PgConnection> {
        let identity = password_identity(project, self.role);
        let sealed = self.sealer.seal(secrets::random_password().as_bytes(), &identity).map_err(ApiError::internal)?;
        queries::insert_missing_credential(self.platform, project, self.role, &sealed).await?;
        let sealed = queries::credential(self.platform, project, self.role).await?;
        let sealed = sealed.ok_or_else(|| ApiError::not_found("project"))?;
        let password = self.sealer.open(&sealed, &identity).map_err(ApiError::internal)?;
        let password = std::str::from_utf8(&password).map_err(ApiError::internal)?;

        let mut connection = database::connect_as_platform(self.database_url, None).await?;
        self.create_in_postgres(&mut connection, project, password).await?;
        Ok(connection)
    }

    async fn create_in_postgres(
        &self,
        connection: &mut PgConnection,
        project: &str,
        password: &str,
    ) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT pg_advisory_lock(hashtextextended($1, 0))")
            .bind(format!("atlashub {} role {project}", self.role.suffix()))
            .execute(&mut *connection)
            .await?;
        database::create_role(connection, project, self.role, password).await?;
        let platform = database::platform_role(connection).await?;
        let role = ident(&self.role.name(project));
        if !platform.is_superuser {
            let grant = format!("GRANT {role} TO {} WITH INHERIT TRUE, SET TRUE", ident(&platform.name));
            database::execute(connection, grant).await?;
        }
        let database = project_database(project);
        if !database::database_exists(connection, &database).await? {
            return Ok(());
        }
        database::execute(connection, format!("GRANT CONNECT ON DATABASE {} TO {role}", ident(&database))).await
    }
}
