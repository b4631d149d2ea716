//! Parses an upload request, and checks everything that needs no connection.

use api_types::{SignUpload, UploadMode};

use super::{
    super::{
        buckets::BucketSettings,
        path::{BucketName, ObjectPath},
    },
    content_type::is_content_type,
};
use crate::{
    error::{ApiError, ApiResult, Code},
    object_store::IfExists,
};

const MIB: i64 = 1 << 20;
const GIB: i64 = 1 << 30;
/// S3's maximum size of an object that is uploaded in one request.
const MAX_SINGLE_BYTES: i64 = 5 * GIB;
/// S3's limits for one part.
const MIN_PART_BYTES: i64 = 5 * MIB;
const MAX_PART_BYTES: i64 = 5 * GIB;
const DEFAULT_PART_BYTES: i64 = 16 * MIB;
/// Maximum number of parts, which keeps the response below a megabyte. With parts of 5 GiB it still allows S3's
/// largest object, 5 TiB.
const MAX_PARTS: i64 = 1024;

/// An upload request that was checked, except against the settings of the bucket and the objects in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UploadPlan {
    pub path: ObjectPath,
    pub content_type: String,
    /// Maximum size in bytes, if the request gives one.
    pub max_size: Option<i64>,
    /// Exact size in bytes, if the request gives one.
    pub size: Option<i64>,
    pub upsert: bool,
    pub method: UploadMethod,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UploadMethod {
    Put(IfExists),
    Post,
    Multipart {
        layout: PartLayout,
        /// Number of part URLs in the response; `None` for all.
        part_count: Option<u32>,
    },
}

/// The division of an object into parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartLayout {
    /// Bytes of the object.
    pub object_size: i64,
    /// Bytes of every part except the last.
    pub part_size: i64,
}

impl PartLayout {
    /// Creates a layout with the requested part size, or with a default that grows with the object.
    fn new(object_size: i64, requested: Option<i64>) -> ApiResult<Self> {
        let min_size = divide_up(object_size, MAX_PARTS);
        // Checked first: no part size is large enough for such an object.
        if min_size > MAX_PART_BYTES {
            return Err(ApiError::invalid("An object can't be larger than 5 TiB."));
        }
        let part_size = match requested {
            Some(requested) if !(MIN_PART_BYTES..=MAX_PART_BYTES).contains(&requested) => {
                return Err(ApiError::invalid("`partSize` must be from 5242880 (5 MiB) to 5368709120 (5 GiB)."));
            }
            Some(requested) if requested < min_size => {
                return Err(ApiError::invalid(format!("This `partSize` results in more than {MAX_PARTS} parts."))
                    .with_hint(format!("Send at least {min_size}, or omit `partSize`.")));
            }
            Some(requested) => requested,
            None => (divide_up(min_size, MIB) * MIB).max(DEFAULT_PART_BYTES),
        };
        Ok(Self { object_size, part_size })
    }

    pub(super) fn part_count(self) -> i32 {
        i32::try_from(divide_up(self.object_size, self.part_size)).unwrap_or(i32::MAX)
    }

    /// Returns the number and the size in bytes of every part, in order. Numbers start at 1.
    pub(super) fn parts(self) -> impl Iterator<Item = (i32, i64)> {
        (1..).scan(self.object_size, move |remaining, number| {
            let size = (*remaining).min(self.part_size);
            *remaining -= size;
            (size > 0).then_some((number, size))
        })
    }
}

impl UploadPlan {
    /// Checks a request and converts it to a plan.
    ///
    /// # Errors
    /// Returns 400 for an invalid request, and 413 if `size` exceeds `maxSize`.
    pub(super) fn parse(request: SignUpload) -> ApiResult<Self> {
        let bucket = BucketName::parse(&request.bucket)?;
        let path = ObjectPath::new(&bucket, &request.path)?;
        if !is_content_type(&request.content_type) {
            return Err(ApiError::invalid("`contentType` is not a valid content type.").with_hint(
                "Use the form type/subtype, for example image/png or text/plain;charset=utf-8, with up to 255 \
                     printable ASCII characters and no two spaces in a row.",
            ));
        }
        if request.max_size.is_some_and(|max_size| max_size < 1) {
            return Err(ApiError::invalid("`maxSize` must be at least 1."));
        }
        if request.size.is_some_and(|size| size < 0) {
            return Err(ApiError::invalid("`size` can't be negative."));
        }
        if let (Some(size), Some(max_size)) = (request.size, request.max_size)
            && size > max_size
        {
            return Err(too_large(size, max_size, "`maxSize`").with_hint("Raise `maxSize`, or send only `size`."));
        }
        if request.once && request.upsert {
            return Err(ApiError::invalid("`once` and `upsert` can't be combined.").with_hint("Send one of them."));
        }
        if request.once && request.mode != UploadMode::Put {
            return Err(ApiError::invalid("`once` is supported with the mode `put` only."));
        }
        if request.part_size.is_some() && request.mode != UploadMode::Multipart {
            return Err(ApiError::invalid("`partSize` is supported with the mode `multipart` only."));
        }
        if request.part_count.is_some() && request.mode != UploadMode::Multipart {
            return Err(ApiError::invalid("`partCount` is supported with the mode `multipart` only."));
        }
        let method = match request.mode {
            UploadMode::Put if request.once => UploadMethod::Put(IfExists::Fail),
            UploadMode::Put => UploadMethod::Put(IfExists::Replace),
            UploadMode::Post => UploadMethod::Post,
            UploadMode::Multipart => {
                let size = request.size.filter(|size| *size > 0).ok_or_else(|| {
                    ApiError::invalid("The mode `multipart` requires `size`, the exact number of bytes, at least 1.")
                })?;
                let layout = PartLayout::new(size, request.part_size)?;
                UploadMethod::Multipart { layout, part_count: request.part_count }
            }
        };
        if !matches!(method, UploadMethod::Multipart { .. }) && request.size.is_some_and(|size| size > MAX_SINGLE_BYTES)
        {
            return Err(ApiError::invalid("An upload in one request can't be larger than 5 GiB.")
                .with_hint("Send `\"mode\": \"multipart\"`."));
        }
        Ok(Self {
            path,
            content_type: request.content_type,
            max_size: request.max_size,
            size: request.size,
            upsert: request.upsert,
            method,
        })
    }

    /// Returns the maximum size of this upload in bytes.
    ///
    /// # Errors
    /// Returns 413 if the request asks for more than the bucket allows.
    pub(super) fn resolve_max_size(&self, bucket: &BucketSettings) -> ApiResult<i64> {
        match self.max_size.max(self.size) {
            Some(requested) if requested > bucket.max_object_bytes => {
                Err(too_large(requested, bucket.max_object_bytes, "the bucket's limit")
                    .with_hint("Send a smaller `maxSize` or `size`, or raise the bucket's limit in the dashboard."))
            }
            _ => Ok(self.size.or(self.max_size).unwrap_or(bucket.max_object_bytes)),
        }
    }
}

/// Divides two positive numbers and rounds up.
fn divide_up(dividend: i64, divisor: i64) -> i64 {
    dividend / divisor + i64::from(dividend % divisor != 0)
}

fn too_large(requested: i64, limit: i64, limit_name: &str) -> ApiError {
    ApiError::new(Code::ObjectTooLarge, format!("{requested} bytes exceed {limit_name} of {limit} bytes."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> SignUpload {
        SignUpload {
            bucket: "uploads".to_owned(),
            path: "notes/x.png".to_owned(),
            content_type: "image/png".to_owned(),
            max_size: None,
            size: None,
            upsert: false,
            once: false,
            mode: UploadMode::Put,
            part_size: None,
            part_count: None,
        }
    }

    #[test]
    fn invalid_requests_are_rejected() {
        type Case = (&'static str, fn(&mut SignUpload), Code);
        let cases: &[Case] = &[
            ("bucket", |r| r.bucket = "No".to_owned(), Code::InvalidRequest),
            ("no bucket", |r| r.bucket.clear(), Code::InvalidRequest),
            ("path", |r| r.path = "../x".to_owned(), Code::InvalidPath),
            ("content type", |r| r.content_type = "png".to_owned(), Code::InvalidRequest),
            ("maxSize 0", |r| r.max_size = Some(0), Code::InvalidRequest),
            ("size -1", |r| r.size = Some(-1), Code::InvalidRequest),
            ("size above maxSize", |r| (r.size, r.max_size) = (Some(11), Some(10)), Code::ObjectTooLarge),
            ("once and upsert", |r| (r.once, r.upsert) = (true, true), Code::InvalidRequest),
            ("once and post", |r| (r.once, r.mode) = (true, UploadMode::Post), Code::InvalidRequest),
            ("partCount and put", |r| r.part_count = Some(1), Code::InvalidRequest),
            ("partSize and put", |r| r.part_size = Some(MIN_PART_BYTES), Code::InvalidRequest),
            ("multipart without size", |r| r.mode = UploadMode::Multipart, Code::InvalidRequest),
            ("empty multipart", |r| (r.mode, r.size) = (UploadMode::Multipart, Some(0)), Code::InvalidRequest),
            ("6 GiB in one put", |r| r.size = Some(6 * GIB), Code::InvalidRequest),
        ];
        for (case, change, code) in cases {
            let mut request = request();
            change(&mut request);
            assert_eq!(UploadPlan::parse(request).map_err(|error| error.code()), Err(*code), "{case}");
        }
        assert!(UploadPlan::parse(request()).is_ok());
    }

    #[test]
    fn hint_for_a_size_above_max_size_does_not_name_the_bucket() {
        let error = UploadPlan::parse(SignUpload { size: Some(11), max_size: Some(10), ..request() }).unwrap_err();
        assert_eq!(error.hint(), Some("Raise `maxSize`, or send only `size`."));
    }

    #[test]
    fn max_size_defaults_to_the_buckets_limit_and_never_exceeds_it() {
        let bucket = BucketSettings {
            publishable: api_types::BucketAccess::None,
            signed_in: api_types::BucketAccess::None,
            max_object_bytes: 100,
        };
        for (max_size, size, limit) in [
            (None, None, Some(100)),
            (Some(10), None, Some(10)),
            (Some(100), None, Some(100)),
            (Some(101), None, None),
            (None, Some(7), Some(7)),
            (None, Some(101), None),
            (Some(10), Some(7), Some(7)),
            (None, Some(0), Some(0)),
        ] {
            let plan = UploadPlan::parse(SignUpload { max_size, size, ..request() }).unwrap();
            assert_eq!(plan.resolve_max_size(&bucket).ok(), limit, "{max_size:?} {size:?}");
        }
    }

    #[test]
    fn part_size_grows_with_the_object() {
        for (size, requested, expected) in [
            (1, None, Some(DEFAULT_PART_BYTES)),
            (100 * MIB, None, Some(DEFAULT_PART_BYTES)),
            (100 * MIB, Some(5 * MIB), Some(5 * MIB)),
            (100 * MIB, Some(5 * MIB - 1), None),
            (100 * MIB, Some(5 * GIB + 1), None),
            (16 * GIB, None, Some(16 * MIB)),
            (16 * GIB + 1, None, Some(17 * MIB)),
            (16 * GIB, Some(5 * MIB), None),
            (5 * 1024 * GIB, None, Some(5 * GIB)),
            (5 * 1024 * GIB + 1, None, None),
            (i64::MAX, None, None),
        ] {
            let layout = PartLayout::new(size, requested);
            assert_eq!(layout.map(|layout| layout.part_size).ok(), expected, "{size} {requested:?}");
        }
    }

    #[test]
    fn hint_for_an_object_that_is_too_large_names_no_part_size() {
        for requested in [None, Some(5 * GIB)] {
            let error = PartLayout::new(6 * 1024 * GIB, requested).unwrap_err();
            assert_eq!((error.message(), error.hint()), ("An object can't be larger than 5 TiB.", None));
        }
    }

    #[test]
    fn parts_cover_the_object_exactly() {
        let parts = |object_size, part_size| PartLayout { object_size, part_size }.parts().collect::<Vec<_>>();
        assert_eq!(parts(1, 5), [(1, 1)]);
        assert_eq!(parts(10, 5), [(1, 5), (2, 5)]);
        assert_eq!(parts(11, 5), [(1, 5), (2, 5), (3, 1)]);
        for (object_size, count) in [(1, 1), (5, 1), (6, 2), (10, 2), (11, 3)] {
            assert_eq!(PartLayout { object_size, part_size: 5 }.part_count(), count, "{object_size}");
        }
    }
}
