//! Settings of end-user login: hashing of passwords, and the mail server.

use std::net::IpAddr;

use lettre::message::Mailbox;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::{ConfigError, Secret, Vars};

/// Settings of end-user login.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// Maximum number of passwords that are hashed at the same time.
    pub hash_concurrency: usize,
    /// The server for mail to end users. `None` if none is configured.
    pub smtp: Option<SmtpConfig>,
}

/// A mail server.
#[derive(Debug, Clone)]
pub struct SmtpConfig {
    pub host: String,
    pub port: u16,
    pub security: SmtpSecurity,
    pub credentials: Option<(String, Secret)>,
    pub from: Mailbox,
}

/// Protection of mail on its way to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS from the first byte.
    Tls,
    /// TLS after STARTTLS, which the server must offer.
    Starttls,
    /// No TLS. Only to a server on this machine.
    Loopback,
}

impl AuthConfig {
    /// Reads the variables of end-user login.
    ///
    /// # Errors
    /// Fails if a variable is missing or invalid. The error describes the first such variable.
    pub fn from_vars(vars: &Vars) -> Result<Self, ConfigError> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
        let hash_concurrency = vars.number_or("ATLASHUB_AUTH_HASH_CONCURRENCY", (cores / 2).max(1), 1, 256)?;
        Ok(Self { hash_concurrency: hash_concurrency as usize, smtp: smtp(vars)? })
    }
}

fn smtp(vars: &Vars) -> Result<Option<SmtpConfig>, ConfigError> {
    let url = vars.secret("ATLASHUB_SMTP_URL")?;
    let from = vars.text("ATLASHUB_SMTP_FROM")?;
    match (url, from) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(ConfigError::new(
            "ATLASHUB_SMTP_FROM",
            "is missing, but ATLASHUB_SMTP_URL is set",
            "set the sender of mail, for example `My app <no-reply@example.com>`",
        )),
        (None, Some(_)) => Err(ConfigError::new(
            "ATLASHUB_SMTP_URL",
            "is missing, but ATLASHUB_SMTP_FROM is set",
            "set the mail server, for example smtps://user:password@mail.example.com",
        )),
        (Some(url), Some(from)) => {
            let from = from.parse().map_err(|_| {
                ConfigError::new(
                    "ATLASHUB_SMTP_FROM",
                    "is not an e-mail address",
                    "use an e-mail address, with a name if you like, for example `My app <no-reply@example.com>`",
                )
            })?;
            server(url.expose(), from).map(Some)
        }
    }
}

/// Parses the URL of the mail server. The error messages do not repeat it, because it may contain a password.
fn server(text: &str, from: Mailbox) -> Result<SmtpConfig, ConfigError> {
    let error = |problem: &str, remedy: &str| ConfigError::new("ATLASHUB_SMTP_URL", problem, remedy);
    let example = "use smtp://host:port or smtps://host:port, with user:password@ before the host if needed";
    let url = Url::parse(text).map_err(|_| error("is not a URL", example))?;
    let host = url.host().ok_or_else(|| error("names no host", example))?;
    let is_loopback = is_loopback(&host);
    let (security, default_port) = match url.scheme() {
        "smtps" => (SmtpSecurity::Tls, 465),
        "smtp" if is_loopback => (SmtpSecurity::Loopback, 25),
        "smtp" => (SmtpSecurity::Starttls, 587),
        _ => return Err(error("has an unknown scheme", example)),
    };
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(error("contains more than a host and a port", example));
    }
    let decoded = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8().map(String::from);
        decoded.map_err(|_| error("has a user or a password that is not UTF-8", example))
    };
    let credentials = match (url.username(), url.password()) {
        ("", None) => None,
        (user, Some(password)) if !user.is_empty() => Some((decoded(user)?, Secret::new(decoded(password)?))),
        _ => return Err(error("has a user without a password, or a password without a user", example)),
    };
    // In a URL, an IPv6 address has brackets, which are not part of the host.
    let host = match host {
        Host::Ipv6(address) => address.to_string(),
        host => host.to_string(),
    };
    Ok(SmtpConfig { host, port: url.port().unwrap_or(default_port), security, credentials, from })
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        // The URL parser recognizes IPv4 addresses only with web schemes. With `smtp`, it treats an address as a name.
        Host::Domain(name) => {
            name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<SmtpConfig, ConfigError> {
        server(url, "App <app@example.com>".parse().unwrap())
    }

    #[test]
    fn mail_is_sent_in_plain_text_to_loopback_only() {
        for (url, host, port, security) in [
            ("smtps://mail.example.com", "mail.example.com", 465, SmtpSecurity::Tls),
            ("smtps://127.0.0.1:4650", "127.0.0.1", 4650, SmtpSecurity::Tls),
            ("smtp://mail.example.com", "mail.example.com", 587, SmtpSecurity::Starttls),
            ("smtp://10.0.0.1:25", "10.0.0.1", 25, SmtpSecurity::Starttls),
            ("smtp://localhost:1025", "localhost", 1025, SmtpSecurity::Loopback),
            ("smtp://127.0.0.1:1025", "127.0.0.1", 1025, SmtpSecurity::Loopback),
            ("smtp://[::1]:1025/", "::1", 1025, SmtpSecurity::Loopback),
        ] {
            let server = parse(url).unwrap();
            assert_eq!((server.host.as_str(), server.port, server.security), (host, port, security), "{url}");
        }
    }

    #[test]
    fn credentials_are_decoded() {
        let (user, password) = parse("smtps://a%40b:p%2Fw@mail.example.com").unwrap().credentials.unwrap();
        assert_eq!((user.as_str(), password.expose()), ("a@b", "p/w"));
    }

    #[test]
    fn unusable_urls_are_refused_without_repeating_them() {
        for url in
            ["mail.example.com", "http://x:s3cret@h", "smtp://s3cret@h", "smtp://h/s3cret", "smtp://h?s3cret", "smtp:"]
        {
            assert!(!parse(url).unwrap_err().to_string().contains("s3cret"), "{url}");
        }
    }
}
