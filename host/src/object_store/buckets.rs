use aws_sdk_s3::types::{BucketLocationConstraint, CorsConfiguration, CorsRule, CreateBucketConfiguration};

use super::{ObjectStore, StoreError, StoreResult};

/// Uploads with a URL signed earlier may land while a bucket is being emptied.
const EMPTYING_ROUNDS: usize = 4;

impl ObjectStore {
    /// Succeeds where the store is there and takes our credentials.
    pub async fn ping(&self) -> StoreResult<()> {
        let answer = self.calls().list_buckets().send().await;
        match answer.map_err(|error| StoreError::from_sdk("ListBuckets", error)) {
            Err(StoreError::NotSupported { .. }) => Ok(()),
            answer => answer.map(drop),
        }
    }

    pub async fn bucket_exists(&self, bucket: &str) -> StoreResult<bool> {
        let answer = self.calls().head_bucket().bucket(bucket).send().await;
        match answer.map_err(|error| StoreError::from_sdk("HeadBucket", error)) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Creates the bucket where it is missing, and lets browsers of any origin use signed URLs in it, where the
    /// store has such a setting. Safe to repeat.
    pub async fn ensure_bucket(&self, bucket: &str) -> StoreResult<()> {
        if !self.bucket_exists(bucket).await? {
            self.create_bucket(bucket).await?;
        }
        self.allow_browsers(bucket).await
    }

    async fn create_bucket(&self, bucket: &str) -> StoreResult<()> {
        // The one region that AWS wants left out.
        let location = (self.region() != "us-east-1").then(|| {
            CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(self.region()))
                .build()
        });
        let answer = self.calls().create_bucket().bucket(bucket).set_create_bucket_configuration(location).send().await;
        match answer.map_err(|error| StoreError::from_sdk("CreateBucket", error)) {
            Ok(_) => Ok(()),
            // Somebody was faster. Ours if we can see it, another owner's if not.
            Err(StoreError::Refused { status: 409, .. }) if self.bucket_exists(bucket).await? => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Signed URLs are what protects an object; an origin adds nothing to that.
    async fn allow_browsers(&self, bucket: &str) -> StoreResult<()> {
        const OPERATION: &str = "PutBucketCors";
        let unbuilt =
            |cause: aws_sdk_s3::error::BuildError| StoreError::Other { operation: OPERATION, cause: cause.into() };
        let rule = CorsRule::builder()
            .set_allowed_methods(Some(["GET", "HEAD", "PUT", "POST"].map(str::to_owned).to_vec()))
            .allowed_origins("*")
            .allowed_headers("*")
            .expose_headers("ETag")
            .max_age_seconds(3600)
            .build()
            .map_err(unbuilt)?;
        let rules = CorsConfiguration::builder().cors_rules(rule).build().map_err(unbuilt)?;
        let answer = self.calls().put_bucket_cors().bucket(bucket).cors_configuration(rules).send().await;
        match answer.map_err(|error| StoreError::from_sdk(OPERATION, error)) {
            Ok(_) => Ok(()),
            // Such a store answers preflights for all buckets alike, or not at all; servers can upload either way.
            Err(StoreError::NotSupported { .. }) => Ok(()),
            Err(error @ StoreError::Refused { .. }) => {
                tracing::warn!(bucket, %error, "the store took no CORS rules; uploads from browsers may fail");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Empties the bucket (unfinished uploads too) and removes it. A missing one is done already.
    pub async fn delete_bucket_with_contents(&self, bucket: &str) -> StoreResult<()> {
        let mut round = 1;
        loop {
            match self.abort_uploads(bucket, None).await {
                Err(StoreError::NotSupported { .. }) => {}
                Err(error) if error.is_not_found() => return Ok(()),
                aborted => drop(aborted?),
            }
            self.delete_prefix(bucket, "").await?;
            let answer = self.calls().delete_bucket().bucket(bucket).send().await;
            match answer.map_err(|error| StoreError::from_sdk("DeleteBucket", error)) {
                Ok(_) => return Ok(()),
                Err(error) if error.is_not_found() => return Ok(()),
                Err(StoreError::Refused { status: 409, .. }) if round < EMPTYING_ROUNDS => round += 1,
                Err(error) => return Err(error),
            }
        }
    }
}
