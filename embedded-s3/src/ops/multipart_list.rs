//! Listing open uploads and their parts.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::Operations;
use super::attributes::{set_checksum, to_etag, to_i64, to_timestamp};
use super::list::{Encoder, marker_position, owner, page_size};
use crate::store::{self, Position};

pub(super) async fn list_parts(
    operations: &Operations,
    request: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let input = request.input;
    let upload = store::find_upload(&operations.store, &input.bucket, &input.key, &input.upload_id)?;
    let checksum = upload.record.checksum;
    let max_parts = page_size(input.max_parts)?;
    let marker = part_number_marker(input.part_number_marker)?;
    let mut rest = store::list_parts(&upload).into_iter().filter(|part| i32::from(part.number) > marker);
    let parts: Vec<_> = rest.by_ref().take(usize::try_from(max_parts).unwrap_or_default()).collect();
    let last = parts.last().map(|part| i32::from(part.number));
    let is_truncated = last.is_some() && rest.next().is_some();
    let parts: Vec<Part> = parts
        .into_iter()
        .map(|part| {
            let mut output = Part {
                part_number: Some(i32::from(part.number)),
                e_tag: Some(to_etag(part.etag)),
                size: Some(to_i64(part.size)),
                last_modified: Some(to_timestamp(part.modified_ms)),
                ..Default::default()
            };
            set_checksum!(output, part.checksum.as_ref());
            output
        })
        .collect();
    Ok(S3Response::new(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        part_number_marker: Some(marker),
        next_part_number_marker: last.filter(|_| is_truncated),
        max_parts: Some(max_parts),
        is_truncated: Some(is_truncated),
        parts: (!parts.is_empty()).then_some(parts),
        owner: Some(owner()),
        initiator: Some(initiator()),
        checksum_algorithm: checksum.map(|checksum| ChecksumAlgorithm::from_static(checksum.algorithm.name())),
        checksum_type: checksum.map(|checksum| ChecksumType::from_static(checksum.coverage.name())),
        ..Default::default()
    }))
}

/// Returns the number of the part after which a page begins: by default 0.
pub(super) fn part_number_marker(requested: Option<i32>) -> S3Result<i32> {
    match requested.unwrap_or(0) {
        marker @ 0.. => Ok(marker),
        _ => Err(s3_error!(InvalidArgument, "The part number marker can't be negative.")),
    }
}

pub(super) async fn list_multipart_uploads(
    operations: &Operations,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = request.input;
    operations.store.bucket(&input.bucket)?;
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    let max_uploads = page_size(input.max_uploads)?;
    let start = start_position(input.key_marker.as_deref(), input.upload_id_marker.as_deref(), prefix, delimiter);
    let all = store::list_uploads(&operations.store, &input.bucket);
    let limit = usize::try_from(max_uploads).unwrap_or_default();
    let page = store::list_page(&all, prefix, delimiter, start.as_ref(), limit);
    let encoder = Encoder::new(input.encoding_type.as_ref())?;
    let uploads: Vec<MultipartUpload> = page
        .entries
        .iter()
        .map(|(_, upload)| MultipartUpload {
            key: Some(encoder.encode(&upload.record.key)),
            upload_id: Some(upload.id.clone()),
            initiated: Some(to_timestamp(upload.record.initiated_ms)),
            owner: Some(owner()),
            initiator: Some(initiator()),
            ..Default::default()
        })
        .collect();
    let is_truncated = page.next.is_some();
    let (next_key_marker, next_upload_id_marker) = match page.next {
        Some(Position::AfterKey(entry)) => match entry.rsplit_once('\0') {
            Some((key, id)) => (Some(encoder.encode(key)), Some(id.to_owned())),
            None => (None, None),
        },
        Some(Position::AfterPrefix(prefix)) => (Some(encoder.encode(&prefix)), None),
        None => (None, None),
    };
    let prefixes = encoder.prefixes(&page.common_prefixes);
    Ok(S3Response::new(ListMultipartUploadsOutput {
        uploads: (!uploads.is_empty()).then_some(uploads),
        common_prefixes: (!prefixes.is_empty()).then_some(prefixes),
        is_truncated: Some(is_truncated),
        next_key_marker,
        next_upload_id_marker,
        prefix: Some(encoder.encode(prefix)),
        delimiter: delimiter.map(|delimiter| encoder.encode(delimiter)),
        key_marker: Some(encoder.encode(input.key_marker.as_deref().unwrap_or_default())),
        upload_id_marker: input.upload_id_marker,
        encoding_type: input.encoding_type,
        max_uploads: Some(max_uploads),
        bucket: Some(input.bucket),
        ..Default::default()
    }))
}

fn initiator() -> Initiator {
    let Owner { display_name, id } = owner();
    Initiator { display_name, id }
}

/// Returns the position after the markers. Entries are named `key NUL id`. A key without an ID stands for all of its
/// uploads.
fn start_position(key: Option<&str>, id: Option<&str>, prefix: &str, delimiter: Option<&str>) -> Option<Position> {
    let key = key.filter(|key| !key.is_empty())?;
    match (id, marker_position(key, prefix, delimiter)) {
        (_, position @ Position::AfterPrefix(_)) => Some(position),
        (Some(id), Position::AfterKey(key)) => Some(Position::AfterKey(format!("{key}\0{id}"))),
        (None, Position::AfterKey(key)) => Some(Position::AfterKey(format!("{key}\0{}", char::MAX))),
    }
}
