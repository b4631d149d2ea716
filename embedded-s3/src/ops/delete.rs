//! Deleting objects.

use http::StatusCode;
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::Operations;
use super::attributes::reject_version;
use super::conditions::write_conditions;
use crate::store;

/// Maximum number of keys in one request, as in S3.
const MAX_KEYS: usize = 1000;

pub(super) async fn delete_object(
    operations: &Operations,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let input = request.input;
    reject_version(input.version_id.as_deref())?;
    if input.if_match_size.is_some() || input.if_match_last_modified_time.is_some() {
        return Err(s3_error!(NotImplemented, "A deletion can be conditional only on the ETag."));
    }
    let bucket = operations.store.bucket(&input.bucket)?;
    let conditions = write_conditions(input.if_match, None)?;
    store::delete_object(&operations.store, bucket, input.key, conditions).await?;
    Ok(S3Response::with_status(DeleteObjectOutput::default(), StatusCode::NO_CONTENT))
}

pub(super) async fn delete_objects(
    operations: &Operations,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let input = request.input;
    let is_quiet = input.delete.quiet == Some(true);
    let objects = input.delete.objects;
    if objects.is_empty() || objects.len() > MAX_KEYS {
        return Err(s3_error!(MalformedXML, "A request must name 1 to {} keys to delete.", MAX_KEYS));
    }
    let bucket = operations.store.bucket(&input.bucket)?;
    let mut deleted = Vec::new();
    let mut errors = Vec::new();
    let mut keys = Vec::new();
    for object in objects {
        let is_conditional = object.e_tag.is_some() || object.size.is_some() || object.last_modified_time.is_some();
        if is_conditional {
            let error = s3_error!(NotImplemented, "DeleteObjects supports no conditions. Use DeleteObject.");
            errors.push(failure(object.key, &error));
        } else if let Err(error) = reject_version(object.version_id.as_deref()) {
            errors.push(failure(object.key, &error));
        } else {
            keys.push(object.key);
        }
    }
    let results = store::delete_objects(&operations.store, bucket, keys.clone()).await?;
    for (key, result) in keys.into_iter().zip(results) {
        match result {
            Ok(()) if is_quiet => {}
            Ok(()) => deleted.push(DeletedObject { key: Some(key), ..Default::default() }),
            Err(error) => errors.push(failure(key, &S3Error::from(error))),
        }
    }
    Ok(S3Response::new(DeleteObjectsOutput {
        deleted: (!deleted.is_empty()).then_some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        ..Default::default()
    }))
}

fn failure(key: String, error: &S3Error) -> Error {
    Error {
        key: Some(key),
        code: Some(error.code().as_str().to_owned()),
        message: error.message().map(str::to_owned),
        version_id: None,
    }
}
