//! Operations on buckets.

use aws_sdk_s3::types::{BucketLocationConstraint, CorsConfiguration, CorsRule, CreateBucketConfiguration};

use super::{ObjectStore, StoreError, StoreResult};

/// Maximum number of attempts to empty and delete a bucket. A URL signed earlier may add an object in between.
const MAX_DELETE_ATTEMPTS: usize = 4;

impl ObjectStore {
    /// Checks that the store is reachable and accepts the credentials. If the store can't list buckets, checks only
    /// that it is reachable.
    pub async fn ping(&self) -> StoreResult<()> {
        let response = self.client().list_buckets().send().await;
        match response.map_err(|error| StoreError::from_sdk("ListBuckets", error)) {
            Err(StoreError::NotSupported { .. }) => Ok(()),
            result => result.map(drop),
        }
    }

    /// Returns whether the bucket exists.
    pub async fn bucket_exists(&self, bucket: &str) -> StoreResult<bool> {
        let response = self.client().head_bucket().bucket(bucket).send().await;
        match response.map_err(|error| StoreError::from_sdk("HeadBucket", error)) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Creates the bucket if it is missing, and allows browsers of any origin to use signed URLs in it, if the store
    /// has such a setting. Idempotent.
    pub async fn ensure_bucket(&self, bucket: &str) -> StoreResult<()> {
        if !self.bucket_exists(bucket).await? {
            self.create_bucket(bucket).await?;
        }
        self.allow_all_origins(bucket).await
    }

    async fn create_bucket(&self, bucket: &str) -> StoreResult<()> {
        // AWS requires the constraint to be absent for this region only.
        let location = (self.region() != "us-east-1").then(|| {
            CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(self.region()))
                .build()
        });
        let response =
            self.client().create_bucket().bucket(bucket).set_create_bucket_configuration(location).send().await;
        match response.map_err(|error| StoreError::from_sdk("CreateBucket", error)) {
            Ok(_) => Ok(()),
            // Another process created the bucket. If this client can't see the bucket, it belongs to another owner.
            Err(StoreError::Refused { status: 409, .. }) if self.bucket_exists(bucket).await? => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sets the CORS rules of a bucket. They allow every origin because the signature of the URL protects the object.
    async fn allow_all_origins(&self, bucket: &str) -> StoreResult<()> {
        const OPERATION: &str = "PutBucketCors";
        let invalid =
            |cause: aws_sdk_s3::error::BuildError| StoreError::Other { operation: OPERATION, cause: cause.into() };
        let rule = CorsRule::builder()
            .set_allowed_methods(Some(["GET", "HEAD", "PUT", "POST"].map(str::to_owned).to_vec()))
            .allowed_origins("*")
            .allowed_headers("*")
            .expose_headers("ETag")
            .max_age_seconds(3600)
            .build()
            .map_err(invalid)?;
        let rules = CorsConfiguration::builder().cors_rules(rule).build().map_err(invalid)?;
        let response = self.client().put_bucket_cors().bucket(bucket).cors_configuration(rules).send().await;
        match response.map_err(|error| StoreError::from_sdk(OPERATION, error)) {
            Ok(_) => Ok(()),
            // Such a store has one CORS policy for all buckets or none. Uploads from servers work in both cases.
            Err(StoreError::NotSupported { .. }) => Ok(()),
            Err(error @ StoreError::Refused { .. }) => {
                tracing::warn!(bucket, %error, "the store rejected the CORS rules; uploads from browsers may fail");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Removes all objects and unfinished uploads of the bucket, and then the bucket. Succeeds if the bucket is
    /// missing.
    pub async fn delete_bucket_with_contents(&self, bucket: &str) -> StoreResult<()> {
        let mut attempt = 1;
        loop {
            match self.abort_uploads(bucket, None).await {
                Err(StoreError::NotSupported { .. }) => {}
                Err(error) if error.is_not_found() => return Ok(()),
                aborted => drop(aborted?),
            }
            self.delete_prefix(bucket, "").await?;
            let response = self.client().delete_bucket().bucket(bucket).send().await;
            match response.map_err(|error| StoreError::from_sdk("DeleteBucket", error)) {
                Ok(_) => return Ok(()),
                Err(error) if error.is_not_found() => return Ok(()),
                Err(StoreError::Refused { status: 409, .. }) if attempt < MAX_DELETE_ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }
}
