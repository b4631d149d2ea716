use std::{collections::BTreeMap, time::Duration};

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};

use super::{ObjectStore, StoreError, StoreResult};

/// A request that whoever holds it may make, until it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// At the public endpoint.
    pub url: String,
    /// Headers that are part of the signature, in lowercase: all of them must be sent, exactly so.
    pub headers: BTreeMap<String, String>,
}

/// What a signed `PUT` holds its sender to. What is not signed is not enforced by any store.
#[derive(Debug, Clone, Copy)]
pub struct PutConditions<'a> {
    pub content_type: &'a str,
    /// Exact bytes.
    pub content_length: Option<i64>,
    /// Signs `If-None-Match: *`: the store refuses to replace an object, where it knows that header.
    pub only_create: bool,
}

impl ObjectStore {
    /// Signs a `PUT` of one object. Needs no connection.
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
            .set_if_none_match(conditions.only_create.then(|| "*".to_owned()))
            .presigned(expiry(OPERATION, expires_in)?)
            .await
            .map(|request| signed_request(&request))
            .map_err(|error| StoreError::from_sdk(OPERATION, error))
    }

    /// Signs a `GET`; `disposition` replaces the answer's `Content-Disposition`. Needs no connection.
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

    /// Signs a `PUT` of one part of exactly `size` bytes. Needs no connection.
    pub async fn presign_part(
        &self,
        bucket: &str,
        key: &str,
        upload_id: &str,
        part_number: i32,
        size: i64,
        expires_in: Duration,
    ) -> StoreResult<SignedRequest> {
        const OPERATION: &str = "presigned UploadPart";
        self.signer()
            .upload_part()
            .bucket(bucket)
            .key(key)
            .upload_id(upload_id)
            .part_number(part_number)
            .content_length(size)
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
