//! Buckets and their few settings.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::Operations;
use super::attributes::to_timestamp;

/// The region that S3 calls by no name.
const UNNAMED_REGION: &str = "us-east-1";

pub(super) async fn create_bucket(
    operations: &Operations,
    request: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let input = request.input;
    if input.object_lock_enabled_for_bucket == Some(true) {
        return Err(s3_error!(NotImplemented, "this server has no object locks"));
    }
    // It becomes the name of a folder, so this does not rely on the check of the request's path.
    if !s3s::path::check_bucket_name(&input.bucket) {
        return Err(s3_error!(InvalidBucketName));
    }
    let location = format!("/{}", input.bucket);
    operations.store.create_bucket(input.bucket).await?;
    Ok(S3Response::new(CreateBucketOutput { location: Some(location) }))
}

pub(super) async fn delete_bucket(
    operations: &Operations,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    let bucket = operations.store.bucket(&request.input.bucket)?;
    operations.store.delete_bucket(bucket).await?;
    Ok(S3Response::with_status(DeleteBucketOutput::default(), http::StatusCode::NO_CONTENT))
}

pub(super) async fn head_bucket(
    operations: &Operations,
    request: S3Request<HeadBucketInput>,
) -> S3Result<S3Response<HeadBucketOutput>> {
    operations.store.bucket(&request.input.bucket)?;
    let bucket_region = Some(operations.region.clone());
    Ok(S3Response::new(HeadBucketOutput { bucket_region, ..Default::default() }))
}

pub(super) async fn list_buckets(
    operations: &Operations,
    request: S3Request<ListBucketsInput>,
) -> S3Result<S3Response<ListBucketsOutput>> {
    let prefix = request.input.prefix;
    let buckets = operations
        .store
        .buckets()
        .into_iter()
        .filter(|bucket| prefix.as_ref().is_none_or(|prefix| bucket.name.starts_with(prefix.as_str())))
        .map(|bucket| Bucket {
            name: Some(bucket.name.clone()),
            creation_date: Some(to_timestamp(bucket.created_ms())),
            ..Default::default()
        })
        .collect();
    Ok(S3Response::new(ListBucketsOutput { buckets: Some(buckets), prefix, ..Default::default() }))
}

pub(super) async fn get_bucket_location(
    operations: &Operations,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    operations.store.bucket(&request.input.bucket)?;
    let region = &operations.region;
    let location_constraint = (region != UNNAMED_REGION).then(|| BucketLocationConstraint::from(region.clone()));
    Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
}

/// Answers that versioning was never enabled, which clients ask before they delete.
pub(super) async fn get_bucket_versioning(
    operations: &Operations,
    request: S3Request<GetBucketVersioningInput>,
) -> S3Result<S3Response<GetBucketVersioningOutput>> {
    operations.store.bucket(&request.input.bucket)?;
    Ok(S3Response::new(GetBucketVersioningOutput::default()))
}

/// Keeps the rules so that they can be read back. They change nothing: every origin is answered
/// by the CORS layer around the server, since what protects an object is the signature.
pub(super) async fn put_bucket_cors(
    operations: &Operations,
    request: S3Request<PutBucketCorsInput>,
) -> S3Result<S3Response<PutBucketCorsOutput>> {
    let bucket = operations.store.bucket(&request.input.bucket)?;
    let cors = serde_json::to_value(&request.input.cors_configuration)
        .map_err(|error| s3_error!(error, InvalidRequest, "the CORS configuration can't be kept"))?;
    operations.store.set_bucket_cors(bucket, Some(cors)).await?;
    Ok(S3Response::new(PutBucketCorsOutput::default()))
}

pub(super) async fn get_bucket_cors(
    operations: &Operations,
    request: S3Request<GetBucketCorsInput>,
) -> S3Result<S3Response<GetBucketCorsOutput>> {
    let bucket = operations.store.bucket(&request.input.bucket)?;
    let none = || s3_error!(NoSuchCORSConfiguration, "the bucket has no CORS configuration");
    let cors = operations.store.bucket_cors(&bucket).ok_or_else(none)?;
    let cors: CORSConfiguration = serde_json::from_value(cors).map_err(|_| none())?;
    Ok(S3Response::new(GetBucketCorsOutput { cors_rules: Some(cors.cors_rules) }))
}

pub(super) async fn delete_bucket_cors(
    operations: &Operations,
    request: S3Request<DeleteBucketCorsInput>,
) -> S3Result<S3Response<DeleteBucketCorsOutput>> {
    let bucket = operations.store.bucket(&request.input.bucket)?;
    operations.store.set_bucket_cors(bucket, None).await?;
    Ok(S3Response::with_status(DeleteBucketCorsOutput::default(), http::StatusCode::NO_CONTENT))
}
