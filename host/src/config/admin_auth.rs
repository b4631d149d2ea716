//! Settings of the admin surface: sign-in, host names and metrics.

use std::net::SocketAddr;

use super::{ConfigError, Secret, Vars};

const MIN_DEV_TOKEN_LENGTH: usize = 16;

/// Authentication and host names of the admin surface.
#[derive(Debug, Clone)]
pub struct AdminAuthConfig {
    pub dev_token: Option<Secret>,
    pub access: Option<AccessConfig>,
    /// Allowed host names in addition to loopback, lowercase, without a port.
    pub hosts: Vec<String>,
    pub metrics_token: Option<Secret>,
    pub listen: SocketAddr,
}

/// Settings of Cloudflare Access.
#[derive(Debug, Clone)]
pub struct AccessConfig {
    /// URL of the team, such as `https://team.cloudflareaccess.com`, which is also the `iss` of assertions.
    pub team_url: String,
    /// The `aud` that assertions must contain.
    pub audience: String,
    /// E-mail addresses of the owners, in lowercase. If empty, everyone that Access lets in is accepted.
    pub owner_emails: Vec<String>,
}

impl AccessConfig {
    /// Returns the URL of the team's keys.
    pub fn jwks_url(&self) -> String {
        format!("{}/cdn-cgi/access/certs", self.team_url)
    }
}

impl AdminAuthConfig {
    /// Reads the variables of the admin surface.
    ///
    /// # Errors
    /// Fails if a variable is missing or invalid. The error describes the first such variable.
    pub fn from_vars(vars: &Vars, listen: SocketAddr) -> Result<Self, ConfigError> {
        let dev_token = vars.secret("DEV_ADMIN_TOKEN")?;
        if dev_token.as_ref().is_some_and(|token| token.expose().len() < MIN_DEV_TOKEN_LENGTH) {
            return Err(ConfigError::new(
                "DEV_ADMIN_TOKEN",
                format!("is shorter than {MIN_DEV_TOKEN_LENGTH} characters"),
                "set it to a long random string, for example from `openssl rand -hex 32`",
            ));
        }
        Ok(Self {
            dev_token,
            access: access(vars)?,
            hosts: list(&vars.text_or_default("ATLASHUB_ADMIN_HOSTS")?),
            metrics_token: vars.secret("ATLASHUB_METRICS_TOKEN")?,
            listen,
        })
    }
}

fn access(vars: &Vars) -> Result<Option<AccessConfig>, ConfigError> {
    let domain = vars.text("CF_ACCESS_TEAM_DOMAIN")?;
    let audience = vars.text("CF_ACCESS_AUD")?;
    let (domain, audience) = match (domain, audience) {
        (Some(domain), Some(audience)) => (domain, audience),
        (None, None) => return Ok(None),
        (Some(_), None) => {
            return Err(ConfigError::new(
                "CF_ACCESS_AUD",
                "is not set, while CF_ACCESS_TEAM_DOMAIN is",
                "set it to the application's audience tag",
            ));
        }
        (None, Some(_)) => {
            return Err(ConfigError::new(
                "CF_ACCESS_TEAM_DOMAIN",
                "is not set, while CF_ACCESS_AUD is",
                "set it to your team's domain",
            ));
        }
    };
    let team_url = if domain.contains("://") { domain.clone() } else { format!("https://{domain}") };
    let team_url = team_url.trim_end_matches('/').to_owned();
    let valid = url::Url::parse(&team_url).ok().is_some_and(|url| {
        let loopback = match url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(domain)) => domain == "localhost",
            None => false,
        };
        // Keys fetched over plain HTTP could be forged, except on this machine.
        url.has_host() && url.path() == "/" && (url.scheme() == "https" || (url.scheme() == "http" && loopback))
    });
    if !valid {
        return Err(ConfigError::new(
            "CF_ACCESS_TEAM_DOMAIN",
            format!("is `{domain}`"),
            "set it to a domain such as team.cloudflareaccess.com",
        ));
    }
    Ok(Some(AccessConfig { team_url, audience, owner_emails: list(&vars.text_or_default("ATLASHUB_OWNER_EMAIL")?) }))
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(|entry| entry.trim().to_ascii_lowercase()).filter(|entry| !entry.is_empty()).collect()
}
