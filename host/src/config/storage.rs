//! Settings of the object store.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{ConfigError, Secret, Vars};

const DEFAULT_EMBEDDED_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8082);

/// The object store that the process uses.
#[derive(Debug, Clone)]
pub enum StorageConfig {
    Embedded(EmbeddedStorageConfig),
    External(ExternalStorageConfig),
}

/// The embedded S3 server.
#[derive(Debug, Clone)]
pub struct EmbeddedStorageConfig {
    pub listen: StoreAddress,
    /// URL for browsers, if it is not the listening address.
    pub public_endpoint: Option<String>,
    pub region: String,
    pub max_object_bytes: i64,
}

/// The address on which the embedded store listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreAddress {
    Fixed(SocketAddr),
    /// If its port is taken, the store listens on another port.
    Preferred(SocketAddr),
}

/// An external S3 store.
#[derive(Debug, Clone)]
pub struct ExternalStorageConfig {
    pub endpoint: String,
    pub public_endpoint: String,
    pub region: String,
    pub access_key_id: Secret,
    pub secret_access_key: Secret,
    pub max_object_bytes: i64,
}

impl StorageConfig {
    /// Reads the variables of the object store.
    ///
    /// # Errors
    /// Fails if a variable is missing or invalid. The error describes the first such variable.
    pub fn from_vars(vars: &Vars) -> Result<Self, ConfigError> {
        let public_endpoint = vars.origin("ATLASHUB_S3_PUBLIC_ENDPOINT")?;
        let region = vars.text_or_default("ATLASHUB_S3_REGION")?;
        // S3 limits objects to 5 TiB.
        let max_object_bytes = vars.number("ATLASHUB_MAX_OBJECT_BYTES", 1..=5 << 40)? as i64;
        let Some(endpoint) = vars.origin("ATLASHUB_S3_ENDPOINT")? else {
            let configured =
                vars.parsed("ATLASHUB_EMBEDDED_S3_LISTEN", "an IP address and port such as 127.0.0.1:8082")?;
            let listen = match (configured, &public_endpoint) {
                (Some(address), _) => StoreAddress::Fixed(address),
                // The proxy behind that endpoint connects to this address.
                (None, Some(_)) => StoreAddress::Fixed(DEFAULT_EMBEDDED_ADDRESS),
                (None, None) => StoreAddress::Preferred(DEFAULT_EMBEDDED_ADDRESS),
            };
            return Ok(Self::Embedded(EmbeddedStorageConfig { listen, public_endpoint, region, max_object_bytes }));
        };
        let required = |name: &str| {
            vars.secret(name)?.ok_or_else(|| {
                ConfigError::new(name, "is not set, while ATLASHUB_S3_ENDPOINT is", "set it to the store's key")
            })
        };
        Ok(Self::External(ExternalStorageConfig {
            public_endpoint: public_endpoint.unwrap_or_else(|| endpoint.clone()),
            endpoint,
            region,
            access_key_id: required("ATLASHUB_S3_ACCESS_KEY_ID")?,
            secret_access_key: required("ATLASHUB_S3_SECRET_ACCESS_KEY")?,
            max_object_bytes,
        }))
    }

    pub fn max_object_bytes(&self) -> i64 {
        match self {
            Self::Embedded(config) => config.max_object_bytes,
            Self::External(config) => config.max_object_bytes,
        }
    }
}
