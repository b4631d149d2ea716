//! Connections to mail servers. The caller chooses and checks the address.

use std::time::Duration;

use api_types::SmtpTls;
use lettre::{
    AsyncSmtpTransport, Tokio1Executor,
    transport::smtp::{
        Error,
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};

use crate::config::{Secret, TrustedCertificates};

/// A mail server, and how to connect to it.
pub struct SmtpServer<'a> {
    /// IP address or name to connect to.
    pub address: &'a str,
    /// Name in the server's certificate.
    pub host: &'a str,
    pub port: u16,
    pub tls: SmtpTls,
    /// User name and password.
    pub credentials: Option<&'a (String, Secret)>,
    /// Time limit of connecting to one IP address. The commands after that have no time limit of their own, so the
    /// caller must limit the time for sending a message.
    pub connect_timeout: Duration,
}

impl SmtpServer<'_> {
    /// Returns a transport that connects when it sends. It accepts certificates of public authorities and those in
    /// `trusted`.
    ///
    /// # Errors
    /// Fails if TLS can't be set up.
    pub fn transport(&self, trusted: &TrustedCertificates) -> Result<AsyncSmtpTransport<Tokio1Executor>, Error> {
        let tls = || {
            let mut parameters = TlsParameters::builder(self.host.to_owned());
            for certificate in trusted.iter() {
                parameters = parameters.add_root_certificate(Certificate::from_der(certificate.to_vec())?);
            }
            parameters.build()
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(self.address)
            .port(self.port)
            .timeout(Some(self.connect_timeout))
            .tls(match self.tls {
                SmtpTls::Tls => Tls::Wrapper(tls()?),
                SmtpTls::Starttls => Tls::Required(tls()?),
                SmtpTls::None => Tls::None,
            });
        if let Some((user, password)) = self.credentials {
            transport = transport.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        Ok(transport.build())
    }
}
