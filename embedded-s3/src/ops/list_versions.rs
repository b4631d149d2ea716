//! Listing the versions of a bucket's objects. No versions are kept, so each object has one version, with the ID
//! `null`. Tools that empty a bucket request this list whether or not versions are kept.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result};

use super::Operations;
use super::attributes::{checksum_type, to_etag, to_i64, to_timestamp};
use super::list::{Encoder, marker_position, owner, page_size};
use crate::store::{self, Position};

/// ID of the only version of an object, as in S3.
const VERSION_ID: &str = "null";

pub(super) async fn list_object_versions(
    operations: &Operations,
    request: S3Request<ListObjectVersionsInput>,
) -> S3Result<S3Response<ListObjectVersionsOutput>> {
    let input = request.input;
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    let max_keys = page_size(input.max_keys)?;
    let limit = usize::try_from(max_keys).unwrap_or_default();
    let marker = input.key_marker.as_deref().unwrap_or_default();
    let start = (!marker.is_empty()).then(|| marker_position(marker, prefix, delimiter));
    let bucket = operations.store.bucket(&input.bucket)?;
    let page = bucket.with_objects(|objects| store::list_page(objects, prefix, delimiter, start.as_ref(), limit));
    let encoder = Encoder::new(input.encoding_type.as_ref())?;
    let versions: Vec<ObjectVersion> = page
        .entries
        .iter()
        .map(|(key, object)| ObjectVersion {
            key: Some(encoder.encode(key)),
            version_id: Some(VERSION_ID.to_owned()),
            is_latest: Some(true),
            e_tag: Some(to_etag(object.etag)),
            size: Some(to_i64(object.size)),
            last_modified: Some(to_timestamp(object.modified_ms)),
            storage_class: Some(ObjectVersionStorageClass::from_static(ObjectVersionStorageClass::STANDARD)),
            checksum_type: checksum_type(object.checksum.as_deref()),
            owner: Some(owner()),
            ..Default::default()
        })
        .collect();
    let prefixes = encoder.prefixes(&page.common_prefixes);
    let next = page.next.map(|(Position::AfterKey(text) | Position::AfterPrefix(text))| encoder.encode(&text));
    Ok(S3Response::new(ListObjectVersionsOutput {
        versions: (!versions.is_empty()).then_some(versions),
        common_prefixes: (!prefixes.is_empty()).then_some(prefixes),
        is_truncated: Some(next.is_some()),
        next_version_id_marker: next.is_some().then(|| VERSION_ID.to_owned()),
        next_key_marker: next,
        prefix: Some(encoder.encode(prefix)),
        delimiter: delimiter.map(|delimiter| encoder.encode(delimiter)),
        key_marker: Some(encoder.encode(marker)),
        version_id_marker: input.version_id_marker,
        encoding_type: input.encoding_type,
        max_keys: Some(max_keys),
        name: Some(input.bucket),
        ..Default::default()
    }))
}
