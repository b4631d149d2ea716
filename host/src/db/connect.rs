//! Opens connections to Postgres: reads the address, the TLS settings and the login from a URL, and logs in. Also
//! passes these settings to Postgres's client programs, such as `pg_dump`.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
};
use tokio_postgres::{
    Config, Connection, NoTls,
    config::{SslMode, SslNegotiation},
    error::SqlState,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    DbError, DbRole,
    driver::ConnectionDriver,
    project_database,
    wire::{Guarded, GuardedStream, Plain},
};
use crate::{config::Secret, error::describe_cause};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A source of the passwords of projects' roles, which can also set a role's password in Postgres back to the stored
/// one.
pub trait Credentials: Send + Sync + 'static {
    /// Returns the stored password of the role. Fails with [`DbError::Gone`] if there is none.
    fn password<'a>(&'a self, project: &'a str, role: DbRole) -> BoxFuture<'a, Result<Secret, DbError>>;

    /// Sets the role's password in Postgres to the stored one, and removes the settings that are stored for the role.
    /// This is necessary because a project's SQL can change the password and settings of its role, after which AtlasHub
    /// could not log in.
    fn reset<'a>(&'a self, project: &'a str, role: DbRole) -> BoxFuture<'a, Result<(), DbError>>;
}

/// Address and TLS settings of the server, from the platform database's URL.
#[derive(Clone)]
pub struct ServerAddress {
    config: Config,
    transport: Transport,
    host: String,
    port: u16,
    /// Path of the file with the root certificates (`sslrootcert`). `None` means the public roots.
    root_certificates: Option<String>,
    /// Maximum size of a row that connections receive.
    max_row_bytes: usize,
}

#[derive(Clone)]
enum Transport {
    Tcp,
    Tls(MakeRustlsConnect),
    /// A Unix socket with this path.
    Unix(PathBuf),
}

/// User, password and database of a connection.
#[derive(Clone)]
pub(super) struct Login {
    /// If `None`, the user of this process in the operating system is used, as Postgres's programs do.
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) database: String,
}

impl Login {
    /// Returns the login of a project's role.
    pub(super) fn for_project(project: &str, role: DbRole, password: &Secret) -> Self {
        Self { user: Some(role.name(project)), password: Some(password.clone()), database: project_database(project) }
    }

    /// Reads the platform's login from the URL of its database.
    pub(super) fn from_url(url: &Secret) -> anyhow::Result<Self> {
        let url = url::Url::parse(url.expose())?;
        let decode =
            |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
        let query = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let user = match query("user") {
            None if url.username().is_empty() => None,
            None => Some(decode(url.username())?),
            user => user,
        };
        let password = match (query("password"), url.password()) {
            (Some(password), _) => Some(password),
            (None, Some(password)) => Some(decode(password)?),
            (None, None) => None,
        };
        let database = match query("dbname") {
            Some(database) => database,
            None => decode(url.path().trim_start_matches('/'))?,
        };
        Ok(Self { user, password: password.map(Secret::new), database })
    }
}

impl ServerAddress {
    /// Reads the host, the port and the TLS settings from a URL. With `sslmode=require`, `verify-ca` or `verify-full`,
    /// connections use TLS, and check the server's certificate and host name against `sslrootcert` or, without it,
    /// against the public roots. With `disable`, `allow`, `prefer` (unlike in libpq) or no `sslmode`, and with a Unix
    /// socket, they use no TLS.
    ///
    /// # Errors
    /// Fails if the URL is invalid, if its `sslmode` is unknown, or if the root certificates can't be loaded.
    pub fn from_url(url: &str) -> anyhow::Result<Self> {
        let url = url::Url::parse(url)?;
        let mut config = Config::new();
        let query = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let host = match (query("host"), url.host()) {
            (Some(host), _) => host,
            (None, Some(url::Host::Domain(host))) => {
                percent_encoding::percent_decode_str(host).decode_utf8()?.into_owned()
            }
            (None, Some(url::Host::Ipv4(host))) => host.to_string(),
            (None, Some(url::Host::Ipv6(host))) => host.to_string(),
            (None, None) => "localhost".to_owned(),
        };
        let port = query("port").map(|port| port.parse()).transpose().context("`port` in the URL is not a port")?;
        let port = port.or(url.port()).unwrap_or(5432);
        config.host(&host).port(port);
        let root_certificates = query("sslrootcert");
        let transport = match query("sslmode").as_deref() {
            _ if host.starts_with('/') => {
                config.ssl_mode(SslMode::Disable);
                Transport::Unix(Path::new(&host).join(format!(".s.PGSQL.{port}")))
            }
            Some("require" | "verify-ca" | "verify-full") => {
                config.ssl_mode(SslMode::Require);
                Transport::Tls(MakeRustlsConnect::new(tls_config(root_certificates.as_deref())?))
            }
            Some("disable" | "allow" | "prefer") | None => {
                // Even without TLS, the library connects through a connector, so that `wire` applies. "Direct" means
                // that it does not ask the server for TLS first.
                config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
                Transport::Tcp
            }
            Some(_) => anyhow::bail!(
                "`sslmode` in the URL must be `disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`"
            ),
        };
        config
            .application_name("atlashub")
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives_idle(Duration::from_secs(60))
            .tcp_user_timeout(Duration::from_secs(30));
        Ok(Self { config, transport, host, port, root_certificates, max_row_bytes: usize::MAX })
    }

    /// Sets the maximum size of a row that connections receive. A larger row is replaced by an error.
    pub(super) fn with_max_row_bytes(self, max_row_bytes: usize) -> Self {
        Self { max_row_bytes, ..self }
    }

    fn guarded<C>(&self, connector: C) -> Guarded<C> {
        Guarded { connector, max_row_bytes: self.max_row_bytes }
    }

    /// Returns host, port and TLS settings as environment variables of libpq. `major` is the major version of the
    /// program that uses them.
    ///
    /// # Errors
    /// Fails if the program has to check the server's certificate against the public roots and can't: libpq supports
    /// the system's roots since version 16.
    fn libpq_variables(&self, major: u32) -> anyhow::Result<Vec<(&'static str, String)>> {
        let mut variables = vec![
            ("PGHOST", self.host.clone()),
            ("PGPORT", self.port.to_string()),
            ("PGGSSENCMODE", "disable".to_owned()),
            ("PGCONNECT_TIMEOUT", CONNECT_TIMEOUT.as_secs().to_string()),
        ];
        match (&self.transport, &self.root_certificates) {
            (Transport::Tcp | Transport::Unix(_), _) => variables.push(("PGSSLMODE", "disable".to_owned())),
            (Transport::Tls(_), Some(path)) => {
                // The path may be relative to this process's folder. The program runs in another folder.
                let path = std::path::absolute(path)?;
                variables.push(("PGSSLMODE", "verify-full".to_owned()));
                variables.push(("PGSSLROOTCERT", path.to_string_lossy().into_owned()));
            }
            (Transport::Tls(_), None) if major >= 16 => {
                variables.push(("PGSSLMODE", "verify-full".to_owned()));
                variables.push(("PGSSLROOTCERT", "system".to_owned()));
            }
            (Transport::Tls(_), None) => anyhow::bail!(
                "the Postgres client programs of version {major} can't check the server's certificate against the \
                 public roots: set `sslrootcert=` in ATLASHUB_DATABASE_URL to a file with the roots, or install \
                 client programs of version 16 or newer"
            ),
        }
        Ok(variables)
    }

    /// Returns a command for a program that uses libpq. Its environment contains the connection settings, `LC_ALL=C`,
    /// and the variables that `clean_command` keeps. `major` is the program's major version.
    ///
    /// # Errors
    /// Fails if the program can't check the server's certificate as configured.
    pub(super) fn client_command(
        &self,
        program: &Path,
        major: u32,
        login: &Login,
        application: &str,
    ) -> anyhow::Result<std::process::Command> {
        let mut command = super::programs::clean_command(program);
        command
            .envs(self.libpq_variables(major)?)
            .env("LC_ALL", "C")
            .env("PGAPPNAME", application)
            .env("PGDATABASE", &login.database)
            // With this file, libpq neither reads the user's password file nor warns about that file's permissions.
            .env("PGPASSFILE", "/dev/null");
        if let Some(user) = &login.user {
            command.env("PGUSER", user);
        }
        if let Some(password) = &login.password {
            command.env("PGPASSWORD", password.expose());
        }
        Ok(command)
    }

    /// Opens a connection and starts `driver` on it. `options` are command-line options of the session. Connecting and
    /// logging in together take at most [`CONNECT_TIMEOUT`].
    ///
    /// The future is boxed, because most statements open no connection and don't need its space.
    ///
    /// # Errors
    /// Returns the driver with the error, so that its permit can be used for another attempt.
    pub(super) fn log_in<'a>(
        &'a self,
        login: &Login,
        options: &str,
        driver: ConnectionDriver,
    ) -> BoxFuture<'a, Result<tokio_postgres::Client, (LoginError, ConnectionDriver)>> {
        let mut config = self.config.clone();
        config.dbname(&login.database).options(options);
        if let Some(user) = &login.user {
            config.user(user);
        }
        if let Some(password) = &login.password {
            config.password(password.expose());
        }
        match &self.transport {
            Transport::Tcp => {
                let connector = self.guarded(Plain);
                let connecting = async move { config.connect(connector).await.map_err(LoginError::Failed) };
                Box::pin(spawn(connecting, driver))
            }
            Transport::Tls(tls) => {
                let connector = self.guarded(tls.clone());
                let connecting = async move { config.connect(connector).await.map_err(LoginError::Failed) };
                Box::pin(spawn(connecting, driver))
            }
            Transport::Unix(path) => {
                let connecting = async move {
                    let socket = UnixStream::connect(path).await.map_err(LoginError::Socket)?;
                    let stream = GuardedStream::new(socket, self.max_row_bytes);
                    config.connect_raw(stream, NoTls).await.map_err(LoginError::Failed)
                };
                Box::pin(spawn(connecting, driver))
            }
        }
    }

    /// Asks the server to cancel the statement that the connection runs. Best effort: a failure is logged.
    pub(super) async fn cancel(&self, token: tokio_postgres::CancelToken) {
        let cancelling = async {
            match &self.transport {
                Transport::Tcp => token.cancel_query(Plain).await.map_err(LoginError::Failed),
                Transport::Tls(tls) => token.cancel_query(tls.clone()).await.map_err(LoginError::Failed),
                Transport::Unix(path) => {
                    let socket = UnixStream::connect(path).await.map_err(LoginError::Socket)?;
                    token.cancel_query_raw(socket, NoTls).await.map_err(LoginError::Failed)
                }
            }
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, cancelling).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(cause = describe_cause(&error), "a statement could not be cancelled"),
            Err(_elapsed) => tracing::debug!("a statement could not be cancelled: Postgres does not respond"),
        }
    }
}

/// Waits for a connection and starts `driver` on it.
async fn spawn<S, T>(
    connecting: impl Future<Output = Result<(tokio_postgres::Client, Connection<S, T>), LoginError>>,
    driver: ConnectionDriver,
) -> Result<tokio_postgres::Client, (LoginError, ConnectionDriver)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // The timeout of tokio-postgres itself covers only the opening of the TCP connection.
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok((client, connection))) => {
            driver.spawn(connection);
            Ok(client)
        }
        Ok(Err(error)) => Err((error, driver)),
        Err(_elapsed) => Err((LoginError::TimedOut, driver)),
    }
}

/// The reason why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoginError {
    #[error(transparent)]
    Failed(tokio_postgres::Error),
    #[error("could not connect to the Unix socket: {0}")]
    Socket(io::Error),
    #[error("Postgres did not respond within {} seconds", CONNECT_TIMEOUT.as_secs())]
    TimedOut,
}

impl LoginError {
    pub(super) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Failed(error) => error.code(),
            Self::Socket(_) | Self::TimedOut => None,
        }
    }

    /// Returns whether Postgres refused the login, for example because of a wrong password.
    pub(super) fn is_refused(&self) -> bool {
        let refusals = [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION];
        self.code().is_some_and(|code| refusals.contains(code))
    }

    /// Returns whether the database does not exist.
    pub(super) fn is_unknown_database(&self) -> bool {
        self.code() == Some(&SqlState::INVALID_CATALOG_NAME)
    }

    /// Returns whether no login can succeed at present: the server can't be reached, does not respond, or is starting
    /// or shutting down.
    pub(super) fn is_server_down(&self) -> bool {
        // Codes that begin with 57P: the server is starting, shutting down or recovering from a crash.
        self.code().is_none_or(|code| code.code().starts_with("57P"))
    }
}

fn tls_config(root_certificates: Option<&str>) -> anyhow::Result<rustls::ClientConfig> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    match root_certificates {
        Some(path) => {
            for certificate in CertificateDer::pem_file_iter(path)? {
                roots.add(certificate?)?;
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_sslmode_and_invalid_port_are_errors() {
        for (parameters, is_valid) in [
            ("", true),
            ("sslmode=prefer", true),
            ("sslmode=verify-full", true),
            ("sslmode=required", false),
            ("sslmode=", false),
            ("port=5433", true),
            ("port=none", false),
        ] {
            let url = format!("postgres://atlashub@localhost/platform?{parameters}");
            assert_eq!(ServerAddress::from_url(&url).is_ok(), is_valid, "{parameters}");
        }
    }
}
