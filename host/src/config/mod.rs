//! Configuration: environment variables and `.env`, read once at start into small structs.
//!
//! `variables` declares every variable with its default. Tests check that the defaults in `docs/CONFIGURATION.md`, and
//! those that other code repeats, are the same. `vars` reads the variables. `unknown_variables` finds misspelt ones.
//! Each of the other modules reads one group into a struct. A missing or invalid value is a [`ConfigError`]: one line
//! with the variable, the problem and the remedy.
//!
//! This module does not access the network. The only files that it reads are `.env`, the files of secrets
//! (`NAME_FILE`) and the file of `ATLASHUB_CA_FILE`.

mod admin_auth;
mod age_keys;
mod allowed_hosts;
mod auth;
mod connections;
mod jobs;
mod limits;
mod plugins;
mod proxies;
mod storage;
mod trusted_certificates;
mod unknown_variables;
mod variables;
mod vars;

use std::{net::SocketAddr, path::PathBuf};

pub use admin_auth::{AccessConfig, AdminAuthConfig};
pub use age_keys::{AgeIdentity, AgeRecipients, InvalidIdentity, InvalidRecipient};
pub use allowed_hosts::{AllowedHosts, HostPattern, HostPermit, WebScheme, canonical_host};
pub use auth::{AuthConfig, SmtpConfig, SmtpSecurity};
pub use connections::ConnectionsConfig;
pub use jobs::JobsConfig;
pub use limits::LimitsConfig;
pub use plugins::PluginsConfig;
pub use proxies::ProxyTrust;
pub use storage::{EmbeddedStorageConfig, ExternalStorageConfig, StorageConfig, StoreAddress};
pub use trusted_certificates::TrustedCertificates;
pub use unknown_variables::UnknownVariable;
pub use variables::{VARIABLES, Variable};
pub use vars::{ConfigError, Secret, Vars};

/// The whole configuration of the process.
#[derive(Debug, Clone)]
pub struct Config {
    pub environment: Environment,
    pub role: Role,
    pub data_dir: PathBuf,
    /// Folder with plugin files. It need not exist.
    pub plugin_dir: PathBuf,
    /// Folder with the dashboard's files. `None` for those in the binary.
    pub dashboard_dir: Option<PathBuf>,
    pub public_listen: SocketAddr,
    pub admin_listen: SocketAddr,
    /// Base URL under which apps reach the public surface.
    pub public_url: String,
    pub database: DatabaseConfig,
    pub storage: StorageConfig,
    /// `None` only in embedded mode, which creates a key in the data folder.
    pub master_key: Option<Secret>,
    pub previous_master_key: Option<Secret>,
    pub admin_auth: AdminAuthConfig,
    pub limits: LimitsConfig,
    pub connections: ConnectionsConfig,
    pub jobs: JobsConfig,
    pub plugins: PluginsConfig,
    pub auth: AuthConfig,
    pub trusted_proxies: ProxyTrust,
    pub sql_create_extension: bool,
    /// Hosts to which outgoing requests may be sent.
    pub http_allowed_hosts: AllowedHosts,
    /// Certificate authorities that outgoing requests and mail trust in addition to the public ones.
    pub trusted_certificates: TrustedCertificates,
    /// Recipients to which backups are encrypted.
    pub backup_recipients: AgeRecipients,
    /// Private keys that open encrypted backups. `None` if the owner keeps them elsewhere.
    pub backup_identity: Option<AgeIdentity>,
    /// Free space of the data folder's disk, in percent, below which a notification is sent. 0 for never.
    pub disk_low_percent: u8,
    pub log_json: bool,
    /// Every variable with its value and source, without the values of secrets.
    pub variables: Vec<api_types::ConfigurationVariable>,
}

/// The kind of installation, which determines the checks of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    Development,
    Production,
}

impl Environment {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
        }
    }
}

impl std::str::FromStr for Environment {
    type Err = UnknownEnvironment;

    fn from_str(text: &str) -> Result<Self, UnknownEnvironment> {
        match text {
            "development" => Ok(Self::Development),
            "production" => Ok(Self::Production),
            _ => Err(UnknownEnvironment),
        }
    }
}

/// The error for a string that is not an [`Environment`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownEnvironment;

/// The parts of the platform that this process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    All,
    Gateway,
    Scheduler,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Gateway => "gateway",
            Self::Scheduler => "scheduler",
        }
    }

    pub fn serves_public(self) -> bool {
        !matches!(self, Self::Scheduler)
    }

    pub fn runs_jobs(self) -> bool {
        !matches!(self, Self::Gateway)
    }
}

/// The Postgres that the process uses.
#[derive(Debug, Clone)]
pub enum DatabaseConfig {
    /// A private Postgres under the data folder.
    Embedded { bin_dir: Option<PathBuf>, port: Option<u16> },
    /// URL of the platform database. Projects' databases are on the same server.
    Url(Secret),
}

impl Config {
    /// Reads and validates every variable.
    ///
    /// # Errors
    /// Fails if a variable is missing or invalid, or contradicts another one. The error describes the first such
    /// variable.
    pub fn from_vars(vars: &Vars, role: Role) -> Result<Self, ConfigError> {
        let environment = vars.parsed_or_default("ATLASHUB_ENV", "`development` or `production`")?;
        let public_listen =
            vars.parsed_or_default("ATLASHUB_PUBLIC_LISTEN", "an IP address and port such as 127.0.0.1:8080")?;
        let admin_listen: SocketAddr =
            vars.parsed_or_default("ATLASHUB_ADMIN_LISTEN", "an IP address and port such as 127.0.0.1:8081")?;
        let database = database(vars)?;
        // Checked before the store's keys are read, so that the error names the missing URL, and not a missing key.
        if matches!(database, DatabaseConfig::Embedded { .. }) && vars.text("ATLASHUB_S3_ENDPOINT")?.is_some() {
            return Err(only_one_service("ATLASHUB_DATABASE_URL", "ATLASHUB_S3_ENDPOINT"));
        }
        let storage = StorageConfig::from_vars(vars)?;
        let data_dir: PathBuf = vars.text_or_default("ATLASHUB_DATA_DIR")?.into();
        let config = Self {
            environment,
            role,
            plugin_dir: vars.text("ATLASHUB_PLUGIN_DIR")?.map_or_else(|| data_dir.join("plugins"), PathBuf::from),
            data_dir,
            dashboard_dir: vars.text("ATLASHUB_DASHBOARD_DIR")?.map(PathBuf::from),
            public_listen,
            admin_listen,
            public_url: vars.url("ATLASHUB_PUBLIC_URL")?.unwrap_or_else(|| format!("http://{public_listen}")),
            database,
            storage,
            master_key: vars.secret("PLATFORM_MASTER_KEY")?,
            previous_master_key: vars.secret("PLATFORM_MASTER_KEY_PREVIOUS")?,
            admin_auth: AdminAuthConfig::from_vars(vars, admin_listen)?,
            limits: LimitsConfig::from_vars(vars)?,
            connections: ConnectionsConfig::from_vars(vars)?,
            jobs: JobsConfig::from_vars(vars)?,
            plugins: PluginsConfig::from_vars(vars)?,
            auth: AuthConfig::from_vars(vars)?,
            trusted_proxies: ProxyTrust::parse(&vars.text_or_default("ATLASHUB_TRUSTED_PROXIES")?).map_err(
                |problem| {
                    ConfigError::new(
                        "ATLASHUB_TRUSTED_PROXIES",
                        problem,
                        "list IP addresses or networks, for example 172.16.0.0/12",
                    )
                },
            )?,
            sql_create_extension: vars.flag("ATLASHUB_SQL_CREATE_EXTENSION")?,
            http_allowed_hosts: AllowedHosts::parse(&vars.text_or_default("ATLASHUB_HTTP_ALLOWED_HOSTS")?).map_err(
                |problem| {
                    ConfigError::new(
                        "ATLASHUB_HTTP_ALLOWED_HOSTS",
                        problem,
                        "list entries of [scheme://]host[:port][+private], for example https://api.example.com",
                    )
                },
            )?,
            trusted_certificates: TrustedCertificates::from_vars(vars)?,
            backup_recipients: AgeRecipients::from_vars(vars)?,
            backup_identity: AgeIdentity::from_vars(vars)?,
            disk_low_percent: vars.number("ATLASHUB_DISK_LOW_PERCENT", 0..=100)? as u8,
            log_json: logs_json(vars, environment)?,
            variables: vars.report(),
        };
        config.check()?;
        Ok(config)
    }

    /// Returns whether the process starts its own Postgres and object store.
    pub fn embedded(&self) -> bool {
        matches!(self.database, DatabaseConfig::Embedded { .. })
    }

    /// Checks the combination of variables.
    fn check(&self) -> Result<(), ConfigError> {
        let embedded_database = self.embedded();
        if matches!(self.storage, StorageConfig::Embedded(_)) && !embedded_database {
            return Err(only_one_service("ATLASHUB_S3_ENDPOINT", "ATLASHUB_DATABASE_URL"));
        }
        if self.environment == Environment::Production {
            if embedded_database {
                return Err(ConfigError::new(
                    "ATLASHUB_DATABASE_URL",
                    "is not set, but production needs an external Postgres",
                    "set it, or set ATLASHUB_ENV=development for a trial",
                ));
            }
            if self.admin_auth.dev_token.is_some() {
                return Err(ConfigError::new(
                    "DEV_ADMIN_TOKEN",
                    "is set in production",
                    "remove it; sign in through Cloudflare Access (CF_ACCESS_TEAM_DOMAIN, CF_ACCESS_AUD)",
                ));
            }
            if self.admin_auth.access.is_none() {
                return Err(ConfigError::new(
                    "CF_ACCESS_TEAM_DOMAIN",
                    "is not set, so nobody could sign in",
                    "set CF_ACCESS_TEAM_DOMAIN and CF_ACCESS_AUD",
                ));
            }
        }
        if embedded_database && self.role != Role::All {
            return Err(ConfigError::new(
                "ATLASHUB_DATABASE_URL",
                format!(
                    "is not set, but the role `{}` needs a Postgres that other processes share",
                    self.role.as_str()
                ),
                "set it, or start with `--role all`",
            ));
        }
        if !embedded_database && self.master_key.is_none() {
            return Err(ConfigError::new(
                "PLATFORM_MASTER_KEY",
                "is not set",
                "set it to 32 random bytes in base64, for example from `openssl rand -base64 32`, and keep a copy",
            ));
        }
        if !embedded_database && self.admin_auth.dev_token.is_none() && self.admin_auth.access.is_none() {
            return Err(ConfigError::new(
                "DEV_ADMIN_TOKEN",
                "is not set, and neither is CF_ACCESS_TEAM_DOMAIN, so nobody could sign in",
                "set one of them",
            ));
        }
        if self.public_listen == self.admin_listen && self.public_listen.port() != 0 {
            return Err(ConfigError::new(
                "ATLASHUB_ADMIN_LISTEN",
                "is the same address as ATLASHUB_PUBLIC_LISTEN",
                "give each listener its own port, so that the public host name never reaches an admin route",
            ));
        }
        Ok(())
    }
}

/// Returns the error for one external service without the other.
fn only_one_service(missing: &str, present: &str) -> ConfigError {
    ConfigError::new(
        missing,
        format!("is not set, while {present} is"),
        "set both for an external Postgres and store, or neither for the embedded ones",
    )
}

/// Reads the log format. Its default depends on the environment.
fn logs_json(vars: &Vars, environment: Environment) -> Result<bool, ConfigError> {
    match vars.text("ATLASHUB_LOG_FORMAT")?.as_deref() {
        None => Ok(environment == Environment::Production),
        Some("json") => Ok(true),
        Some("text") => Ok(false),
        Some(other) => {
            Err(ConfigError::new("ATLASHUB_LOG_FORMAT", format!("is `{other}`"), "set it to `json` or `text`"))
        }
    }
}

fn database(vars: &Vars) -> Result<DatabaseConfig, ConfigError> {
    if let Some(url) = vars.secret("ATLASHUB_DATABASE_URL")? {
        let valid = url::Url::parse(url.expose())
            .is_ok_and(|url| matches!(url.scheme(), "postgres" | "postgresql") && url.path().len() > 1);
        if !valid {
            return Err(ConfigError::new(
                "ATLASHUB_DATABASE_URL",
                "is not a Postgres URL with a database name",
                "write it as postgres://user:password@host:5432/platform",
            ));
        }
        return Ok(DatabaseConfig::Url(url));
    }
    Ok(DatabaseConfig::Embedded {
        bin_dir: vars.text("ATLASHUB_POSTGRES_BIN_DIR")?.map(PathBuf::from),
        port: vars.parsed("ATLASHUB_POSTGRES_PORT", "a port number")?,
    })
}

#[cfg(test)]
mod tests;
