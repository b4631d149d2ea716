//! Uploading an object in one request: `PUT`, and browser forms.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderValue, Uri, header};
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, TrailingHeaders, s3_error};

use super::Operations;
use super::attributes::{
    check_key, checksum_type, reject_features, reject_unsupported, request_attributes, set_checksum, to_etag, to_i64,
};
use super::conditions::write_conditions;
use crate::store::{self, Draft, Etag, Expectations, Ingested, Spool, StoredChecksum};

pub(super) async fn put_object(
    operations: &Operations,
    request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let S3Request { mut input, uri, headers, trailing_headers, .. } = request;
    check_key(&input.key)?;
    reject_unsupported!(input)?;
    reject_features(&[(input.write_offset_bytes.is_some(), "appending")])?;
    let store = &operations.store;
    let bucket = store.bucket(&input.bucket)?;
    let conditions = write_conditions(input.if_match.take(), input.if_none_match.as_ref())?;
    let attributes = request_attributes!(input).validate()?;
    let mut expectations = body_expectations(&mut input, &headers, trailing_headers)?;
    expectations.is_length_signed = signs_length(&uri);
    let body = input.body.take().ok_or_else(|| s3_error!(IncompleteBody))?;

    let Ingested { blob, md5, checksum } = store::ingest(store, body, expectations).await?;
    let checksum = StoredChecksum::from_dto(&checksum).map(Box::new);
    let etag = Etag { md5, parts: 0 };
    let draft = Draft { etag, blobs: Box::new([blob]), attributes, checksum, upload_id: None };
    let object = store::put_object(store, bucket, input.key, draft, conditions).await?;
    let mut output = PutObjectOutput {
        e_tag: Some(to_etag(object.etag)),
        size: Some(to_i64(object.size)),
        checksum_type: checksum_type(object.checksum.as_deref()),
        ..Default::default()
    };
    set_checksum!(output, object.checksum.as_deref());
    Ok(S3Response::new(output))
}

/// Uploads an object by a form. `s3s` has already checked the signature and the policy. The file is in a [`Spool`].
pub(super) async fn post_object(
    operations: &Operations,
    mut request: S3Request<PostObjectInput>,
) -> S3Result<S3Response<PostObjectOutput>> {
    // Only signature version 4 names a region. `guard` rejects version 2 in headers and URLs.
    if request.region.is_none() {
        return Err(s3_error!(AccessDenied, "Signature version 2 is not supported. Sign the form with version 4."));
    }
    // The body that `s3s` passes has the length of the file, but only zeros (see `form`).
    let file = request.extensions.remove::<Spool>().ok_or_else(|| s3_error!(MalformedPOSTRequest))?;
    let is_redirected = request.input.success_action_redirect.is_some();
    let path = format!("/{}/{}", request.input.bucket, urlencoding::encode(&request.input.key).replace("%2F", "/"));
    let request = request.map_input(|form| PutObjectInput {
        acl: form.acl,
        body: Some(file.read()),
        bucket: form.bucket,
        cache_control: form.cache_control,
        checksum_crc32: form.checksum_crc32,
        checksum_crc32c: form.checksum_crc32c,
        checksum_crc64nvme: form.checksum_crc64nvme,
        checksum_sha1: form.checksum_sha1,
        checksum_sha256: form.checksum_sha256,
        content_disposition: form.content_disposition,
        content_encoding: form.content_encoding,
        content_language: form.content_language,
        // s3s leaves out the length of an empty file.
        content_length: Some(form.content_length.unwrap_or(0)),
        content_md5: form.content_md5,
        content_type: form.content_type,
        expires: form.expires,
        if_match: form.if_match,
        if_none_match: form.if_none_match,
        key: form.key,
        metadata: form.metadata,
        object_lock_legal_hold_status: form.object_lock_legal_hold_status,
        object_lock_mode: form.object_lock_mode,
        server_side_encryption: form.server_side_encryption,
        sse_customer_algorithm: form.sse_customer_algorithm,
        sse_customer_key: form.sse_customer_key,
        ssekms_key_id: form.ssekms_key_id,
        tagging: form.tagging,
        website_redirect_location: form.website_redirect_location,
        write_offset_bytes: form.write_offset_bytes,
        ..Default::default()
    });
    let PutObjectOutput { e_tag, size, .. } = put_object(operations, request).await?.output;
    let mut headers = HeaderMap::new();
    if let Some(Ok(etag)) = e_tag.as_ref().map(ETag::to_http_header) {
        headers.insert(header::ETAG, etag);
    }
    // In a redirect, `Location` is the URL to redirect to.
    if !is_redirected && let Ok(path) = HeaderValue::try_from(path) {
        headers.insert(header::LOCATION, path);
    }
    // s3s writes the ETag without quotes into the URL of the redirect and the response body.
    let e_tag = e_tag.map(|etag| ETag::Strong(format!("\"{}\"", etag.value())));
    let mut response = S3Response::new(PostObjectOutput { e_tag, size, ..Default::default() });
    response.headers = headers;
    Ok(response)
}

/// An input that declares the length and the digests of its body.
pub(super) trait DeclaredBody {
    fn content_length(&self) -> Option<i64>;
    fn content_md5(&self) -> Option<&str>;
    fn checksum(&mut self) -> Checksum;
}

macro_rules! declared_body {
    ($($input:ty),*) => {
        $(impl DeclaredBody for $input {
            fn content_length(&self) -> Option<i64> {
                self.content_length
            }

            fn content_md5(&self) -> Option<&str> {
                self.content_md5.as_deref()
            }

            fn checksum(&mut self) -> Checksum {
                Checksum {
                    checksum_crc32: self.checksum_crc32.take(),
                    checksum_crc32c: self.checksum_crc32c.take(),
                    checksum_crc64nvme: self.checksum_crc64nvme.take(),
                    checksum_sha1: self.checksum_sha1.take(),
                    checksum_sha256: self.checksum_sha256.take(),
                    ..Default::default()
                }
            }
        })*
    };
}

declared_body!(PutObjectInput, UploadPartInput);

/// Collects the declared length and digests of a body.
pub(super) fn body_expectations(
    input: &mut impl DeclaredBody,
    headers: &HeaderMap,
    trailers: Option<TrailingHeaders>,
) -> S3Result<Expectations> {
    let invalid = || s3_error!(InvalidDigest, "Content-MD5 must be 16 bytes in base64.");
    let md5 = match input.content_md5() {
        // s3s reads an empty header as if it were absent.
        None if headers.get("content-md5").is_some_and(HeaderValue::is_empty) => return Err(invalid()),
        None => None,
        Some(text) => {
            let bytes = BASE64_STANDARD.decode(text).map_err(|_| invalid())?;
            Some(bytes.try_into().map_err(|_| invalid())?)
        }
    };
    let length = input
        .content_length()
        .map(u64::try_from)
        .transpose()
        .map_err(|_| s3_error!(InvalidArgument, "Content-Length is negative."))?;
    let announced = headers
        .get_all("x-amz-trailer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    Ok(Expectations { length, md5, checksum: input.checksum(), announced, trailers, ..Default::default() })
}

/// Returns whether the signature of a presigned URL covers the length of the body.
fn signs_length(uri: &Uri) -> bool {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).any(|(name, headers)| {
        name == "X-Amz-SignedHeaders" && headers.split(';').any(|header| header == "content-length")
    })
}
