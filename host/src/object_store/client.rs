//! The client of the object store, which sends requests and signs URLs.

use std::{sync::Arc, time::Duration};

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
    },
};

use url::{Host, Url};

use crate::config::{ExternalStorageConfig, Secret};

/// Timeout of connecting. A local store accepts a connection within a millisecond, but on a busy machine this process
/// may notice it seconds later.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);
/// Timeout of all attempts of one call. An unreachable store results in a 503 well before the timeout of the HTTP
/// request.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(6);
/// Maximum number of attempts of one call. The store, or a proxy in front of it, may close an unused connection at the
/// moment when a request is sent on it. On a busy machine, this can happen to the second attempt too.
const MAX_ATTEMPTS: u32 = 3;
/// Maximum number of attempts to send one part of a large body.
const MAX_PART_ATTEMPTS: u32 = 6;
/// Timeout of calls that copy or delete objects, send a part or complete an upload. For example, a store sends nothing
/// while it assembles ten thousand parts.
const BULK_TIMEOUT: Duration = Duration::from_secs(120);

/// A client of one S3 store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ObjectStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    internal: Client,
    public: Client,
    public_endpoint: String,
    region: String,
    access_key_id: Secret,
    secret_access_key: Secret,
    is_on_this_machine: bool,
}

impl ObjectStore {
    /// Creates the client without opening a connection.
    pub fn new(config: &ExternalStorageConfig) -> Self {
        Self(Arc::new(Inner {
            internal: Client::from_conf(client_config(config, &config.endpoint)),
            public: Client::from_conf(client_config(config, &config.public_endpoint)),
            public_endpoint: config.public_endpoint.trim_end_matches('/').to_owned(),
            region: config.region.clone(),
            access_key_id: config.access_key_id.clone(),
            secret_access_key: config.secret_access_key.clone(),
            is_on_this_machine: is_loopback(&config.endpoint),
        }))
    }

    /// Returns the endpoint for browsers, without a trailing slash.
    pub fn public_endpoint(&self) -> &str {
        &self.0.public_endpoint
    }

    /// Returns the region that requests are signed for.
    pub fn region(&self) -> &str {
        &self.0.region
    }

    /// Returns the SDK client that sends requests.
    pub(super) fn client(&self) -> &Client {
        &self.0.internal
    }

    /// Returns whether the endpoint is on this machine. It is then a local store, such as the embedded one, or a proxy.
    pub(super) fn is_on_this_machine(&self) -> bool {
        self.0.is_on_this_machine
    }

    /// Returns the SDK client that signs URLs. It never connects.
    pub(super) fn signer(&self) -> &Client {
        &self.0.public
    }

    pub(super) fn credentials(&self) -> (&str, &str) {
        (self.0.access_key_id.expose(), self.0.secret_access_key.expose())
    }
}

fn is_loopback(endpoint: &str) -> bool {
    let Ok(endpoint) = Url::parse(endpoint) else { return false };
    match endpoint.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Returns the configuration of a call that takes long, with the timeout [`BULK_TIMEOUT`].
pub(super) fn bulk_call_config() -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::Config::builder().timeout_config(
        TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(BULK_TIMEOUT)
            .operation_timeout(BULK_TIMEOUT)
            .build(),
    )
}

/// Returns the configuration for sending a part, with longer timeouts and more attempts: a failure loses all parts sent
/// before.
pub(super) fn part_call_config() -> aws_sdk_s3::config::Builder {
    bulk_call_config().retry_config(
        RetryConfig::standard()
            .with_max_attempts(MAX_PART_ATTEMPTS)
            .with_initial_backoff(Duration::from_millis(200))
            .with_max_backoff(Duration::from_secs(3)),
    )
}

#[expect(
    deprecated,
    reason = "newer versions send requests through the proxy of the environment, also to this machine"
)]
fn client_config(config: &ExternalStorageConfig, endpoint: &str) -> aws_sdk_s3::Config {
    aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2025_01_17())
        .region(Region::new(config.region.clone()))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .credentials_provider(Credentials::new(
            config.access_key_id.expose(),
            config.secret_access_key.expose(),
            None,
            None,
            "atlashub",
        ))
        // The default adds a CRC32 to presigned PUTs, which then fail for clients that don't send it.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(MAX_ATTEMPTS)
                .with_initial_backoff(Duration::from_millis(50))
                .with_max_backoff(Duration::from_millis(250)),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .operation_timeout(OPERATION_TIMEOUT)
                .build(),
        )
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_on_this_machine_are_recognized() {
        for endpoint in ["http://127.0.0.1:8082", "http://[::1]:9000/", "https://localhost"] {
            assert!(is_loopback(endpoint), "{endpoint}");
        }
        for endpoint in ["http://10.0.0.1:3900", "http://garage:3900", "https://localhost.example.com", "no URL"] {
            assert!(!is_loopback(endpoint), "{endpoint}");
        }
    }
}
