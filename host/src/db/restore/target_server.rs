//! Connects to the server on which archives are restored, even if the platform database is missing.

use std::{str::FromStr as _, time::Duration};

use sqlx::{ConnectOptions as _, PgConnection, postgres::PgConnectOptions};
use tokio_util::task::TaskTracker;

use crate::{config::Secret, db::ServerAddress};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Databases that exist on every server, used if the platform database is missing or must be renamed.
const MAINTENANCE_DATABASES: [&str; 2] = ["postgres", "template1"];

/// The server of the platform database, on which databases are restored.
pub(super) struct TargetServer {
    pub(super) address: ServerAddress,
    options: PgConnectOptions,
    url: Secret,
    /// Name of the platform database.
    pub(super) platform_database: String,
    /// Tasks that remove scratch databases.
    pub(super) removals: TaskTracker,
}

impl TargetServer {
    pub(super) fn new(database_url: &Secret) -> anyhow::Result<Self> {
        let options = PgConnectOptions::from_str(database_url.expose())?.disable_statement_logging();
        Ok(Self {
            address: ServerAddress::from_url(database_url.expose())?,
            platform_database: options.get_database().unwrap_or("platform").to_owned(),
            options,
            url: database_url.clone(),
            removals: TaskTracker::new(),
        })
    }

    /// Returns the URL of another database of the server.
    pub(super) fn url_of(&self, database: &str) -> String {
        // Replaces the path, and removes the parameter `dbname`. The URL was parsed before, so this succeeds.
        match url::Url::parse(self.url.expose()) {
            Ok(mut url) => {
                url.set_path(database);
                let others: Vec<(String, String)> = url
                    .query_pairs()
                    .filter(|(name, _)| name != "dbname")
                    .map(|(name, value)| (name.into_owned(), value.into_owned()))
                    .collect();
                url.set_query(None);
                if !others.is_empty() {
                    url.query_pairs_mut().extend_pairs(others);
                }
                url.into()
            }
            Err(_) => self.url.expose().to_owned(),
        }
    }

    /// Connects as the platform's role to a maintenance database.
    pub(super) async fn connect_for_maintenance(&self, application: &str) -> Result<PgConnection, sqlx::Error> {
        let [first, second] = MAINTENANCE_DATABASES;
        match self.connect(application, Some(first)).await {
            Err(sqlx::Error::Database(_)) => self.connect(application, Some(second)).await,
            connected => connected,
        }
    }

    /// Connects as the platform's role to `database`. If `database` is `None`, connects to the platform database, or to
    /// a maintenance database if the platform database is missing.
    pub(super) async fn connect(&self, application: &str, database: Option<&str>) -> Result<PgConnection, sqlx::Error> {
        let options = self
            .options
            .clone()
            .application_name(application)
            .options([("statement_timeout", "0"), ("lock_timeout", "0")]);
        let databases: Vec<&str> = match database {
            Some(database) => vec![database],
            None => std::iter::once(self.platform_database.as_str()).chain(MAINTENANCE_DATABASES).collect(),
        };
        let mut gone = None;
        for database in databases {
            match tokio::time::timeout(CONNECT_TIMEOUT, options.clone().database(database).connect()).await {
                Ok(Err(sqlx::Error::Database(error))) if error.code().is_some_and(|code| code == "3D000") => {
                    gone = Some(sqlx::Error::Database(error));
                }
                Ok(connection) => return connection,
                Err(_) => {
                    let message = format!("no response in {} seconds", CONNECT_TIMEOUT.as_secs());
                    return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, message).into());
                }
            }
        }
        Err(gone.unwrap_or(sqlx::Error::PoolClosed))
    }
}
