//! Logs in to projects' databases.

use super::{
    DbError, DbRole, ProjectPools,
    connect::{Login, LoginError},
    driver::ConnectionDriver,
    failure::connect_error,
    session_settings,
};

impl ProjectPools {
    /// Logs in. If the project's SQL stored settings for the role, removes them and logs in again.
    pub(super) async fn connect(
        &self,
        project: &str,
        role: DbRole,
        driver: ConnectionDriver,
    ) -> Result<tokio_postgres::Client, DbError> {
        let notices = driver.notices.clone();
        let client = self.log_in(project, role, driver).await?;
        let stored = session_settings::stored_settings(&client).await;
        let stored = stored.map_err(|error| connect_error(LoginError::Failed(error)))?;
        if stored.is_empty() {
            return Ok(client);
        }
        let settings = stored.join(", ");
        tracing::warn!(project, role = role.suffix(), settings, "removing settings that were stored for a role");
        drop(client);
        self.inner.credentials.reset(project, role).await?;
        let driver = ConnectionDriver { notices, ..self.driver(self.acquire_permit().await?) };
        self.log_in(project, role, driver).await
    }

    /// Logs in. If the database does not exist, tries once more. If the login is refused, resets the role's password
    /// and tries once more.
    async fn log_in(
        &self,
        project: &str,
        role: DbRole,
        driver: ConnectionDriver,
    ) -> Result<tokio_postgres::Client, DbError> {
        let (server, credentials, limits) = (&self.inner.server, &self.inner.credentials, &self.inner.limits);
        let options = session_settings::session_options(limits.statement_timeout);
        let login = Login::for_project(project, role, &credentials.password(project, role).await?);
        let logged_in = match server.log_in(&login, &options, driver).await {
            // A login during a restore's swap waits for it, and then fails because the database was renamed.
            Err((error, driver)) if error.is_unknown_database() => server.log_in(&login, &options, driver).await,
            logged_in => logged_in,
        };
        match logged_in {
            Ok(client) => Ok(client),
            Err((error, driver)) if error.is_refused() => {
                tracing::warn!(project, role = role.suffix(), "a login was refused; resetting the role's password");
                credentials.reset(project, role).await?;
                let login = Login::for_project(project, role, &credentials.password(project, role).await?);
                let retried = server.log_in(&login, &options, driver).await;
                retried.map_err(|(error, _)| connect_error(error))
            }
            Err((error, _)) => Err(connect_error(error)),
        }
    }
}
