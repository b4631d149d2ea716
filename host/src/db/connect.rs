use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio_postgres::{Config, config::SslMode, tls::MakeTlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{DbError, DbRole};
use crate::config::Secret;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Passwords of projects' roles.
pub trait Credentials: Send + Sync + 'static {
    /// The sealed password of the role.
    fn password<'a>(&'a self, project: &'a str, role: DbRole) -> BoxFuture<'a, Result<Secret, DbError>>;

    /// Sets the role's password in Postgres to the sealed one again, after a login was refused: any role can
    /// change its own password from inside.
    fn reset<'a>(&'a self, project: &'a str, role: DbRole) -> BoxFuture<'a, Result<(), DbError>>;
}

/// Where the server is, from the platform database's URL.
#[derive(Clone)]
pub struct ServerAddress {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

impl ServerAddress {
    /// Takes host, port and `sslmode` of a URL. `require`, `verify-ca` and `verify-full` all check the
    /// server's certificate, against `sslrootcert` or the public roots; the other modes use no TLS.
    pub fn from_url(url: &str) -> anyhow::Result<Self> {
        let url = url::Url::parse(url)?;
        let mut config = Config::new();
        let query = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        match (query("host"), url.host()) {
            (Some(host), _) => config.host(host),
            (None, Some(url::Host::Domain(host))) => {
                config.host(percent_encoding::percent_decode_str(host).decode_utf8()?.as_ref())
            }
            (None, Some(url::Host::Ipv4(host))) => config.host(host.to_string()),
            (None, Some(url::Host::Ipv6(host))) => config.host(host.to_string()),
            (None, None) => config.host("localhost"),
        };
        config.port(query("port").and_then(|port| port.parse().ok()).or(url.port()).unwrap_or(5432));
        let tls = match query("sslmode").as_deref() {
            Some("require" | "verify-ca" | "verify-full") => {
                config.ssl_mode(SslMode::Require);
                Some(MakeRustlsConnect::new(tls_config(query("sslrootcert").as_deref())?))
            }
            _ => {
                config.ssl_mode(SslMode::Disable);
                None
            }
        };
        config
            .application_name("atlashub")
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives_idle(Duration::from_secs(60))
            .tcp_user_timeout(Duration::from_secs(30));
        Ok(Self { config, tls })
    }

    /// Logs in and hands the socket to `driver`, which comes back where the login failed.
    pub(super) async fn open<D: Driver>(
        &self,
        project: &str,
        role: DbRole,
        password: &Secret,
        options: &str,
        driver: D,
    ) -> Result<tokio_postgres::Client, (tokio_postgres::Error, D)> {
        let mut config = self.config.clone();
        config
            .user(role_name(project, role))
            .password(password.expose())
            .dbname(format!("proj_{project}"))
            .options(options);
        match &self.tls {
            Some(tls) => Self::spawn(&config, tls.clone(), driver).await,
            None => Self::spawn(&config, tokio_postgres::NoTls, driver).await,
        }
    }

    async fn spawn<T, D: Driver>(
        config: &Config,
        tls: T,
        driver: D,
    ) -> Result<tokio_postgres::Client, (tokio_postgres::Error, D)>
    where
        T: MakeTlsConnect<tokio_postgres::Socket> + Send,
        T::Stream: Send + 'static,
    {
        match config.connect(tls).await {
            Ok((client, connection)) => {
                driver.spawn(connection);
                Ok(client)
            }
            Err(error) => Err((error, driver)),
        }
    }

    /// Asks the server to stop what the connection runs. Best effort.
    pub(super) async fn cancel(&self, token: tokio_postgres::CancelToken) {
        let result = match &self.tls {
            Some(tls) => token.cancel_query(tls.clone()).await,
            None => token.cancel_query(tokio_postgres::NoTls).await,
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a statement could not be cancelled");
        }
    }
}

/// Takes over a connection's socket.
pub(super) trait Driver: Send {
    fn spawn<S, T>(self, connection: tokio_postgres::Connection<S, T>)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static;
}

pub(super) fn role_name(project: &str, role: DbRole) -> String {
    format!("proj_{project}_{}", role.suffix())
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
