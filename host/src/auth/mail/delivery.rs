//! Sends mail to end users in the background.

use std::{sync::Arc, time::Duration};

use api_types::{MailTexts, SmtpTls};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use tokio::sync::Semaphore;

use super::{MailKind, MailValues, compose::compose};
use crate::{
    auth::email_address::EmailAddress,
    config::{SmtpConfig, SmtpSecurity, TrustedCertificates},
    egress::SmtpServer,
};

/// Time limit of connecting to one IP address of the mail server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Time limit of one attempt to send a mail. Without it, a server that stops responding would block all other mails.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(90);
/// Delays before the second, third and fourth attempt.
const RETRY_DELAYS: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(15), Duration::from_secs(60)];
/// Maximum number of mails that are sent at the same time.
const MAX_SENDING: usize = 4;
/// Maximum number of mails that wait or are being sent. Further ones are dropped; users can ask for them again.
const MAX_WAITING: usize = 1000;

/// Sends mails in the background.
#[derive(Clone)]
pub(in crate::auth) struct Mailer(Option<Arc<Inner>>);

struct Inner {
    smtp: SmtpConfig,
    transport: AsyncSmtpTransport<Tokio1Executor>,
    waiting: Arc<Semaphore>,
    sending: Arc<Semaphore>,
    attempt_timeout: Duration,
}

impl Mailer {
    /// Creates a mailer, which sends nothing if no server is configured.
    ///
    /// # Errors
    /// Fails if TLS can't be set up.
    pub(in crate::auth) fn new(
        smtp: Option<&SmtpConfig>,
        trusted: &TrustedCertificates,
    ) -> Result<Self, lettre::transport::smtp::Error> {
        let Some(smtp) = smtp else { return Ok(Self(None)) };
        Ok(Self(Some(Arc::new(Inner {
            transport: transport(smtp, trusted)?,
            smtp: smtp.clone(),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            sending: Arc::new(Semaphore::new(MAX_SENDING)),
            attempt_timeout: ATTEMPT_TIMEOUT,
        }))))
    }

    pub(in crate::auth) fn is_configured(&self) -> bool {
        self.0.is_some()
    }

    /// Sends a mail in the background, and tries again after temporary failures. Logs mails that could not be sent.
    /// Does nothing if no server is configured.
    pub(in crate::auth) fn send(&self, to: &EmailAddress, kind: MailKind, texts: &MailTexts, values: &MailValues) {
        let Some(inner) = self.0.clone() else { return };
        let Ok(permit) = inner.waiting.clone().try_acquire_owned() else {
            tracing::error!(project = values.project, kind = kind.as_str(), "too many mails wait; one was dropped");
            return;
        };
        let mail = match compose(&inner.smtp.from, to, kind, texts, values) {
            Ok(mail) => mail,
            Err(error) => {
                tracing::error!(project = values.project, kind = kind.as_str(), %error, "a mail could not be composed");
                return;
            }
        };
        let project = values.project.clone();
        tokio::spawn(async move {
            let _permit = permit;
            inner.deliver(&mail, &project, kind).await;
        });
    }
}

impl Inner {
    async fn deliver(&self, mail: &Message, project: &str, kind: MailKind) {
        let mut delays = RETRY_DELAYS.into_iter();
        loop {
            let Err(error) = self.attempt(mail).await else { return };
            let is_permanent = error.as_ref().is_some_and(|error| error.is_permanent() || error.is_client());
            let delay = if is_permanent { None } else { delays.next() };
            let Some(delay) = delay else {
                // Only the status is logged, because the reply may contain the recipient's address.
                let status = error.and_then(|error| error.status()).map(|code| code.to_string());
                tracing::error!(project, kind = kind.as_str(), status, "a mail was not sent");
                return;
            };
            tracing::warn!(project, kind = kind.as_str(), "a mail could not be sent; trying again");
            tokio::time::sleep(delay).await;
        }
    }

    /// Sends a mail once, when fewer than [`MAX_SENDING`] others are being sent. The error is `None` if the server did
    /// not respond in time.
    async fn attempt(&self, mail: &Message) -> Result<(), Option<lettre::transport::smtp::Error>> {
        // This fails only if the semaphore is closed, which never happens.
        let _permit = self.sending.acquire().await;
        match tokio::time::timeout(self.attempt_timeout, self.transport.send(mail.clone())).await {
            Ok(sent) => sent.map(drop).map_err(Some),
            Err(_) => Err(None),
        }
    }
}

fn transport(
    smtp: &SmtpConfig,
    trusted: &TrustedCertificates,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, lettre::transport::smtp::Error> {
    let server = SmtpServer {
        address: &smtp.host,
        host: &smtp.host,
        port: smtp.port,
        tls: match smtp.security {
            SmtpSecurity::Tls => SmtpTls::Tls,
            SmtpSecurity::Starttls => SmtpTls::Starttls,
            SmtpSecurity::Loopback => SmtpTls::None,
        },
        credentials: smtp.credentials.as_ref(),
        connect_timeout: CONNECT_TIMEOUT,
    };
    server.transport(trusted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn attempt_ends_if_the_server_does_not_respond() {
        // The operating system accepts connections, but nothing reads from them.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let smtp = SmtpConfig {
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr().unwrap().port(),
            security: SmtpSecurity::Loopback,
            credentials: None,
            from: "hub@example.com".parse().unwrap(),
        };
        let mailer = Mailer::new(Some(&smtp), &TrustedCertificates::default()).unwrap();
        let mut inner = Arc::into_inner(mailer.0.unwrap()).unwrap();
        inner.attempt_timeout = Duration::from_millis(100);
        let to = "user@example.com".parse().unwrap();
        let mail = Message::builder().from(smtp.from).to(to).body(String::new()).unwrap();
        let outcome = tokio::time::timeout(Duration::from_secs(30), inner.attempt(&mail)).await;
        assert!(matches!(outcome, Ok(Err(None))), "{outcome:?}");
    }
}
