use std::{sync::Arc, time::Duration};

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
    },
};

use crate::config::{ExternalStorageConfig, Secret};

/// A store that is down refuses or ignores connections; a local one answers in a millisecond.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);
/// All attempts of one call, so that a dead store is a 503 well before the request's own limit.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(6);
const ATTEMPTS: u32 = 2;
/// Of a part of a large body.
const PART_ATTEMPTS: u32 = 6;
/// For calls that do much at once: a store sends nothing while it puts ten thousand parts together.
const BULK_TIMEOUT: Duration = Duration::from_secs(120);

/// Calls and signatures for one S3 store. Cheap to clone.
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
}

impl ObjectStore {
    /// Builds both clients; opens no connection.
    pub fn new(config: &ExternalStorageConfig) -> Self {
        Self(Arc::new(Inner {
            internal: Client::from_conf(client_config(config, &config.endpoint)),
            public: Client::from_conf(client_config(config, &config.public_endpoint)),
            public_endpoint: config.public_endpoint.trim_end_matches('/').to_owned(),
            region: config.region.clone(),
            access_key_id: config.access_key_id.clone(),
            secret_access_key: config.secret_access_key.clone(),
        }))
    }

    /// What browsers reach the store by, without a trailing slash; for a content security policy.
    pub fn public_endpoint(&self) -> &str {
        &self.0.public_endpoint
    }

    pub fn region(&self) -> &str {
        &self.0.region
    }

    /// For calls.
    pub(super) fn calls(&self) -> &Client {
        &self.0.internal
    }

    /// For signing only; it never connects.
    pub(super) fn signer(&self) -> &Client {
        &self.0.public
    }

    pub(super) fn credentials(&self) -> (&str, &str) {
        (self.0.access_key_id.expose(), self.0.secret_access_key.expose())
    }
}

/// Overrides one call's time limits.
pub(super) fn bulk_call() -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::Config::builder().timeout_config(
        TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(BULK_TIMEOUT)
            .operation_timeout(BULK_TIMEOUT)
            .build(),
    )
}

/// Overrides one call's time limits, and tries it more often: many parts have gone before it.
pub(super) fn part_call() -> aws_sdk_s3::config::Builder {
    bulk_call().retry_config(
        RetryConfig::standard()
            .with_max_attempts(PART_ATTEMPTS)
            .with_initial_backoff(Duration::from_millis(200))
            .with_max_backoff(Duration::from_secs(3)),
    )
}

fn client_config(config: &ExternalStorageConfig, endpoint: &str) -> aws_sdk_s3::Config {
    aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
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
        // The default would put a CRC32 into presigned PUTs, which then fail for whoever does not send it.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(ATTEMPTS)
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
