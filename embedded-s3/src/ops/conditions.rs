//! Preconditions of requests (RFC 9110, section 13).

use http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use s3s::dto::{ETagCondition, Timestamp, TimestampFormat};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use time::OffsetDateTime;

use super::attributes::{to_etag, to_timestamp};
use crate::lenient::EtagLists;
use crate::store::{Object, WriteConditions};

/// Preconditions of a read.
#[derive(Debug, Default)]
pub(super) struct ReadConditions {
    /// Holds if one of the elements matches.
    pub if_match: Option<Vec<ETagCondition>>,
    pub if_none_match: Option<Vec<ETagCondition>>,
    pub if_modified_since: Option<Timestamp>,
    pub if_unmodified_since: Option<Timestamp>,
}

/// Moves the preconditions out of an input type of `s3s`. `copy_source` selects those on the source of a copy.
macro_rules! read_conditions {
    ($input:expr) => {
        $crate::ops::conditions::ReadConditions {
            if_match: $input.if_match.take().map(|condition| vec![condition]),
            if_none_match: $input.if_none_match.take().map(|condition| vec![condition]),
            if_modified_since: $input.if_modified_since.take(),
            if_unmodified_since: $input.if_unmodified_since.take(),
        }
    };
    (copy_source $input:expr) => {
        $crate::ops::conditions::ReadConditions {
            if_match: $input.copy_source_if_match.take().map(|condition| vec![condition]),
            if_none_match: $input.copy_source_if_none_match.take().map(|condition| vec![condition]),
            if_modified_since: $input.copy_source_if_modified_since.take(),
            if_unmodified_since: $input.copy_source_if_unmodified_since.take(),
        }
    };
}
pub(super) use read_conditions;

impl ReadConditions {
    /// Adds the lists that were removed from the request because `s3s` does not parse them.
    pub(super) fn with_lists(mut self, extensions: &Extensions) -> Self {
        if let Some(lists) = extensions.get::<EtagLists>() {
            self.if_match = lists.if_match.clone().or(self.if_match);
            self.if_none_match = lists.if_none_match.clone().or(self.if_none_match);
        }
        self
    }

    /// Checks the conditions. An ETag condition overrides the date condition of the same kind.
    pub(super) fn check(&self, object: &Object) -> S3Result<()> {
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) if !matches_any(condition, object) => return Err(precondition_failed()),
            (None, Some(date)) if is_modified_since(object, date) => return Err(precondition_failed()),
            _ => {}
        }
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) if matches_any(condition, object) => Err(not_modified(object)),
            (None, Some(date)) if !is_modified_since(object, date) => Err(not_modified(object)),
            _ => Ok(()),
        }
    }

    /// Checks the conditions on the source of a copy. For a copy, "not modified" is a failed precondition too.
    pub(super) fn check_source(&self, object: &Object) -> S3Result<()> {
        self.check(object).map_err(|_| precondition_failed())
    }
}

/// Converts the preconditions of a write. `If-None-Match` with an ETag is rejected, as in S3.
pub(super) fn write_conditions(
    if_match: Option<ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<WriteConditions> {
    let must_not_exist = match if_none_match {
        None => false,
        Some(ETagCondition::Any) => true,
        Some(ETagCondition::ETag(_)) => {
            return Err(s3_error!(NotImplemented, "If-None-Match supports only `*` when an object is written."));
        }
    };
    let must_exist = if_match.as_ref().is_some_and(ETagCondition::is_any);
    let etag = if_match.and_then(ETagCondition::into_etag).map(s3s::dto::ETag::into_value);
    Ok(WriteConditions { must_not_exist, must_exist, etag })
}

/// Returns the preconditions of a copy on the object that it replaces. `s3s` does not parse them.
pub(super) fn copy_conditions(headers: &HeaderMap) -> S3Result<WriteConditions> {
    let condition = |name: header::HeaderName| {
        let Some(value) = headers.get(&name) else { return Ok(None) };
        let parsed = ETagCondition::parse_http_header(value.as_bytes());
        parsed.map(Some).map_err(|_| s3_error!(InvalidArgument, "The header `{}` is malformed.", name))
    };
    write_conditions(condition(header::IF_MATCH)?, condition(header::IF_NONE_MATCH)?.as_ref())
}

/// Returns whether `If-Range` permits a partial response.
pub(super) fn permits_partial_response(headers: &HeaderMap, object: &Object) -> bool {
    let Some(value) = headers.get(header::IF_RANGE).and_then(|value| value.to_str().ok()) else {
        return true;
    };
    match Timestamp::parse(TimestampFormat::HttpDate, value) {
        Ok(date) => !is_modified_since(object, &date),
        Err(_) => value.trim_matches('"') == object.etag.to_string(),
    }
}

fn matches_any(conditions: &[ETagCondition], object: &Object) -> bool {
    let current = object.etag.to_string();
    conditions.iter().any(|condition| condition.as_etag().is_none_or(|etag| etag.value() == current))
}

/// Compares in whole seconds, because HTTP dates have no fractions.
fn is_modified_since(object: &Object, date: &Timestamp) -> bool {
    let date = OffsetDateTime::from(date.clone()).unix_timestamp();
    OffsetDateTime::from(to_timestamp(object.modified_ms)).unix_timestamp() > date
}

fn precondition_failed() -> S3Error {
    s3_error!(PreconditionFailed, "A precondition of the request does not hold.")
}

/// Returns a 304 response with the validators and the `Cache-Control` of the current object.
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
