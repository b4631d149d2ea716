//! Preconditions of requests (RFC 9110, section 13).

use http::{HeaderMap, HeaderValue, StatusCode, header};
use s3s::dto::{ETagCondition, Timestamp, TimestampFormat};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use time::OffsetDateTime;

use super::attributes::{to_etag, to_timestamp};
use crate::store::{Object, WriteConditions};

/// Conditions on reading an object.
#[derive(Debug, Default)]
pub(super) struct ReadConditions {
    pub if_match: Option<ETagCondition>,
    pub if_none_match: Option<ETagCondition>,
    pub if_modified_since: Option<Timestamp>,
    pub if_unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// An ETag condition makes the date condition beside it void.
    pub(super) fn check(&self, object: &Object) -> S3Result<()> {
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) if !matches(condition, object) => return Err(failed()),
            (None, Some(date)) if modified_since(object, date) => return Err(failed()),
            _ => {}
        }
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) if matches(condition, object) => Err(not_modified(object)),
            (None, Some(date)) if !modified_since(object, date) => Err(not_modified(object)),
            _ => Ok(()),
        }
    }

    /// For the source of a copy, where "not modified" is a failed precondition as well.
    pub(super) fn check_source(&self, object: &Object) -> S3Result<()> {
        self.check(object).map_err(|_| failed())
    }
}

/// Conditions on changing an object. `If-None-Match` with an ETag is refused, as S3 does.
pub(super) fn write_conditions(
    if_match: Option<ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<WriteConditions> {
    let must_not_exist = match if_none_match {
        None => false,
        Some(ETagCondition::Any) => true,
        Some(ETagCondition::ETag(_)) => {
            return Err(s3_error!(NotImplemented, "If-None-Match takes only * when an object is written"));
        }
    };
    let must_exist = if_match.as_ref().is_some_and(ETagCondition::is_any);
    let etag = if_match.and_then(ETagCondition::into_etag).map(s3s::dto::ETag::into_value);
    Ok(WriteConditions { must_not_exist, must_exist, etag })
}

/// Whether `If-Range` lets a range be answered with a range.
pub(super) fn range_holds(headers: &HeaderMap, object: &Object) -> bool {
    let Some(value) = headers.get(header::IF_RANGE).and_then(|value| value.to_str().ok()) else {
        return true;
    };
    match Timestamp::parse(TimestampFormat::HttpDate, value) {
        Ok(date) => !modified_since(object, &date),
        Err(_) => value.trim_matches('"') == object.etag.to_string(),
    }
}

fn matches(condition: &ETagCondition, object: &Object) -> bool {
    condition.as_etag().is_none_or(|etag| etag.value() == object.etag.to_string())
}

/// HTTP dates have whole seconds.
fn modified_since(object: &Object, date: &Timestamp) -> bool {
    let date = OffsetDateTime::from(date.clone()).unix_timestamp();
    OffsetDateTime::from(to_timestamp(object.modified_ms)).unix_timestamp() > date
}

fn failed() -> S3Error {
    s3_error!(PreconditionFailed, "a precondition of the request does not hold")
}

/// 304 says which version the client has.
fn not_modified(object: &Object) -> S3Error {
    let mut headers = HeaderMap::new();
    if let Ok(etag) = to_etag(object.etag).to_http_header() {
        headers.insert(header::ETAG, etag);
    }
    let mut date = Vec::new();
    if to_timestamp(object.modified_ms).format(TimestampFormat::HttpDate, &mut date).is_ok()
        && let Ok(date) = HeaderValue::from_bytes(&date)
    {
        headers.insert(header::LAST_MODIFIED, date);
    }
    if let Some(Ok(value)) = object.attributes.cache_control.as_deref().map(HeaderValue::from_str) {
        headers.insert(header::CACHE_CONTROL, value);
    }
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    error.set_status_code(StatusCode::NOT_MODIFIED);
    error.set_headers(headers);
    error
}
