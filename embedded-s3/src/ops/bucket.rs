//! Creating, deleting and listing buckets, and their settings.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::Operations;
use super::attributes::{reject_features, to_timestamp};
use super::list::{decode_token, encode_token};
use crate::bucket_body::BucketBody;
use crate::store::{self, Position};

/// Maximum number of buckets per page, as in S3.
const MAX_BUCKETS: i32 = 10_000;
/// Region for which S3 returns an empty location constraint.
const DEFAULT_REGION: &str = "us-east-1";

pub(super) async fn create_bucket(
    operations: &Operations,
    request: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let S3Request { input, extensions, .. } = request;
    let acl = input.acl.as_ref().is_some_and(|acl| acl.as_str() != BucketCannedACL::PRIVATE)
        || input.grant_full_control.is_some()
        || input.grant_read.is_some()
        || input.grant_read_acp.is_some()
        || input.grant_write.is_some()
        || input.grant_write_acp.is_some();
    reject_features(&[
        (input.object_lock_enabled_for_bucket == Some(true), "object locks"),
        (acl, "ACLs"),
        (extensions.get::<BucketBody>().is_some_and(BucketBody::has_tags), "tags"),
    ])?;
    // The name becomes the name of a folder, so it is checked here too, although s3s checks the path.
    if !s3s::path::check_bucket_name(&input.bucket) {
        return Err(s3_error!(InvalidBucketName));
    }
    let location = format!("/{}", input.bucket);
    store::create_bucket(&operations.store, input.bucket).await?;
    Ok(S3Response::new(CreateBucketOutput { location: Some(location) }))
}

pub(super) async fn delete_bucket(
    operations: &Operations,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    let bucket = operations.store.bucket(&request.input.bucket)?;
    store::delete_bucket(&operations.store, bucket).await?;
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
    let ListBucketsInput { continuation_token, max_buckets, prefix, .. } = request.input;
    let limit = match max_buckets {
        None => usize::MAX,
        Some(number @ 1..=MAX_BUCKETS) => usize::try_from(number).unwrap_or(usize::MAX),
        Some(_) => return Err(s3_error!(InvalidArgument, "max-buckets must be between 1 and {}.", MAX_BUCKETS)),
    };
    let start = continuation_token.as_deref().map(decode_token).transpose()?;
    let is_after_start = |name: &str| match &start {
        None => true,
        Some(Position::AfterKey(start) | Position::AfterPrefix(start)) => name > start.as_str(),
    };
    let mut rest = operations.store.buckets().into_iter().filter(|bucket| {
        is_after_start(&bucket.name) && prefix.as_ref().is_none_or(|prefix| bucket.name.starts_with(prefix.as_str()))
    });
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let last = page.last().filter(|_| rest.next().is_some());
    let continuation_token = last.map(|bucket| encode_token(&Position::AfterKey(bucket.name.clone())));
    let buckets = page
        .iter()
        .map(|bucket| Bucket {
            name: Some(bucket.name.clone()),
            creation_date: Some(to_timestamp(bucket.created_ms())),
            ..Default::default()
        })
        .collect();
    Ok(S3Response::new(ListBucketsOutput { buckets: Some(buckets), continuation_token, prefix, ..Default::default() }))
}

pub(super) async fn get_bucket_location(
    operations: &Operations,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    operations.store.bucket(&request.input.bucket)?;
    let region = &operations.region;
    let location_constraint = (region != DEFAULT_REGION).then(|| BucketLocationConstraint::from(region.clone()));
    Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
}

/// Reports that versioning was never enabled. Some clients request the status before they delete objects.
pub(super) async fn get_bucket_versioning(
    operations: &Operations,
    request: S3Request<GetBucketVersioningInput>,
) -> S3Result<S3Response<GetBucketVersioningOutput>> {
    operations.store.bucket(&request.input.bucket)?;
    Ok(S3Response::new(GetBucketVersioningOutput::default()))
}

/// Stores the rules so that they can be read back. They have no effect: the CORS layer of the server allows every
/// origin, because objects are protected by signatures.
pub(super) async fn put_bucket_cors(
    operations: &Operations,
    request: S3Request<PutBucketCorsInput>,
) -> S3Result<S3Response<PutBucketCorsOutput>> {
    let bucket = operations.store.bucket(&request.input.bucket)?;
    let cors = serde_json::to_value(&request.input.cors_configuration)
        .map_err(|error| s3_error!(error, InvalidRequest, "The CORS configuration can't be stored."))?;
    store::set_bucket_cors(&operations.store, bucket, Some(cors)).await?;
    Ok(S3Response::new(PutBucketCorsOutput::default()))
}

pub(super) async fn get_bucket_cors(
    operations: &Operations,
    request: S3Request<GetBucketCorsInput>,
) -> S3Result<S3Response<GetBucketCorsOutput>> {
    let bucket = operations.store.bucket(&request.input.bucket)?;
    let not_configured = || s3_error!(NoSuchCORSConfiguration, "The bucket has no CORS configuration.");
    let cors = store::bucket_cors(&bucket).ok_or_else(not_configured)?;
    let cors: CORSConfiguration = serde_json::from_value(cors).map_err(|_| not_configured())?;
    Ok(S3Response::new(GetBucketCorsOutput { cors_rules: Some(cors.cors_rules) }))
}

pub(super) async fn delete_bucket_cors(
    operations: &Operations,
    request: S3Request<DeleteBucketCorsInput>,
) -> S3Result<S3Response<DeleteBucketCorsOutput>> {
    let bucket = operations.store.bucket(&request.input.bucket)?;
    store::set_bucket_cors(&operations.store, bucket, None).await?;
    Ok(S3Response::with_status(DeleteBucketCorsOutput::default(), http::StatusCode::NO_CONTENT))
}
