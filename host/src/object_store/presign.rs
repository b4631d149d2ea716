//! Signs requests that clients send to the store themselves.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};

use super::{ObjectStore, StoreError, StoreResult};

/// A signed request. Anyone who has it can send it until it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// URL at the public endpoint.
    pub url: String,
    /// Signed headers with lowercase names. All of them must be sent unchanged.
    pub headers: BTreeMap<String, String>,
}

/// Conditions that a signed `PUT` must meet. The store enforces them because their headers are signed.
#[derive(Debug, Clone, Copy)]
pub struct PutConditions<'a> {
    pub content_type: &'a str,
    /// Exact number of bytes. `None` allows any number.
    pub content_length: Option<i64>,
    pub if_exists: IfExists,
}

/// Effect of a `PUT`, a copy or a completed upload if the object already exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfExists {
    /// Replaces the object.
    Replace,
    /// Fails, if the store supports the header `If-None-Match: *`. In a signed request, the header is signed.
    Fail,
}

/// The part that a signed `PUT` may upload.
#[derive(Debug, Clone, Copy)]
pub struct PartConditions<'a> {
    pub upload_id: &'a str,
    /// Number of the part, from 1.
    pub part_number: i32,
    /// Exact number of bytes.
    pub size: i64,
}

impl ObjectStore {
    /// Signs a `PUT` of one object, without a connection.
    pub async fn presign_put(
        &self,
        bucket: &str,
        key: &str,
        conditions: PutConditions<'_>,
        expires_in: Duration,
    ) -> StoreResult<SignedRequest> {
        const OPERATION: &str = "presigned PutObject";
        self.signer()
            .put_object()
            .bucket(bucket)
            .key(key)
            .content_type(conditions.content_type)
            .set_content_length(conditions.content_length)
            .set_if_none_match((conditions.if_exists == IfExists::Fail).then(|| "*".to_owned()))
            .presigned(expiry(OPERATION, expires_in)?)
            .await
            .map(|request| signed_request(&request))
            .map_err(|error| StoreError::from_sdk(OPERATION, error))
    }

    /// Signs a `GET` of one object, without a connection. `disposition` sets the `Content-Disposition` of the response.
    pub async fn presign_get(
        &self,
        bucket: &str,
        key: &str,
        disposition: Option<&str>,
        expires_in: Duration,
    ) -> StoreResult<SignedRequest> {
        const OPERATION: &str = "presigned GetObject";
        self.signer()
            .get_object()
            .bucket(bucket)
            .key(key)
            .set_response_content_disposition(disposition.map(str::to_owned))
            .presigned(expiry(OPERATION, expires_in)?)
            .await
            .map(|request| signed_request(&request))
            .map_err(|error| StoreError::from_sdk(OPERATION, error))
    }

    /// Signs a `PUT` of one part, without a connection.
    pub async fn presign_part(
        &self,
        bucket: &str,
        key: &str,
        part: PartConditions<'_>,
        expires_in: Duration,
    ) -> StoreResult<SignedRequest> {
        const OPERATION: &str = "presigned UploadPart";
        self.signer()
            .upload_part()
            .bucket(bucket)
            .key(key)
            .upload_id(part.upload_id)
            .part_number(part.part_number)
            .content_length(part.size)
            .presigned(expiry(OPERATION, expires_in)?)
            .await
            .map(|request| signed_request(&request))
            .map_err(|error| StoreError::from_sdk(OPERATION, error))
    }
}

fn expiry(operation: &'static str, expires_in: Duration) -> StoreResult<PresigningConfig> {
    PresigningConfig::expires_in(expires_in).map_err(|error| StoreError::Other { operation, cause: error.into() })
}

fn signed_request(request: &PresignedRequest) -> SignedRequest {
    SignedRequest {
        url: request.uri().to_owned(),
        headers: request.headers().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
    }
}
