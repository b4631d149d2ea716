//! Signing uploads: what is asked is checked without a connection, then against bucket and store, then recorded,
//! and only then signed.

use std::{collections::BTreeMap, time::Duration};

use api_types::{MultipartUpload, SignUpload, SignedUpload, UploadMode, UploadPart};
use chrono::Utc;

use super::{
    StorageState,
    access::{Action, Requester},
    media_type,
    path::{BucketName, ObjectPath},
    queries,
    settings::BucketSettings,
    settle,
};
use crate::{
    error::{ApiError, ApiResult, Code},
    object_store::{PostPolicy, PutConditions},
    projects::ProjectRef,
};

/// Life of a URL for one request.
pub(super) const URL_LIFE: Duration = Duration::from_secs(3600);
/// Life of parts' URLs: many gigabytes over a home line take a day.
pub(super) const MULTIPART_LIFE: Duration = Duration::from_secs(24 * 3600);

const MIB: i64 = 1 << 20;
const GIB: i64 = 1 << 30;
/// S3's limits for one request and one part.
const MAX_SINGLE_BYTES: i64 = 5 * GIB;
const MIN_PART_BYTES: i64 = 5 * MIB;
const MAX_PART_BYTES: i64 = 5 * GIB;
const DEFAULT_PART_BYTES: i64 = 16 * MIB;
/// Parts of one answer, which stays below a megabyte; with parts of 5 GiB it reaches S3's largest object, 5 TiB.
const MAX_PARTS: i64 = 1024;

/// A request that can be right, whatever bucket and store say.
#[derive(Debug, Clone, PartialEq, Eq)]
struct UploadPlan {
    path: ObjectPath,
    content_type: String,
    /// As asked; the bucket's own limit where neither it nor a size was given.
    max_size: Option<i64>,
    size: Option<i64>,
    upsert: bool,
    method: Method,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Put { once: bool },
    Post,
    Multipart { size: i64, part_size: i64 },
}

/// Signs an upload for `requester`.
///
/// # Errors
/// 400 for what can't be right, 403 without the right, 404 without the bucket, 409 where the object exists,
/// 413 above the bucket's limit.
pub(super) async fn sign_upload(
    state: &StorageState,
    project: &ProjectRef,
    requester: &Requester,
    request: SignUpload,
) -> ApiResult<SignedUpload> {
    let plan = UploadPlan::parse(request)?;
    let settings = state.settings.bucket(&project.id, plan.path.bucket()).await?;
    let settings = requester.authorize(settings.as_ref(), Action::Upload)?;
    if plan.upsert && !requester.is_trusted() {
        return Err(ApiError::new(Code::Forbidden, "`upsert` needs the project's secret key.")
            .with_hint("Leave it out, or sign the upload on a server."));
    }
    let max_size = plan.limit(&settings)?;
    // With `upsert` too: what is there is recorded before its replacement's limit is.
    let seen = settle::look_at(&state.platform, &state.store, project, &plan.path).await?;
    if seen.object.is_some() && !plan.upsert {
        return Err(object_exists(&plan.path));
    }
    match plan.method {
        Method::Put { once } => sign_put(state, project, requester, &plan, max_size, once).await,
        Method::Post => sign_post(state, project, requester, &plan, max_size).await,
        Method::Multipart { size, part_size } => {
            sign_multipart(state, project, requester, &plan, max_size, size, part_size).await
        }
    }
}

pub(super) fn object_exists(path: &ObjectPath) -> ApiError {
    ApiError::new(Code::ObjectExists, format!("The object `{}` exists.", path.key()))
        .with_hint("Choose another path, or send `\"upsert\": true` with the secret key to replace it.")
}

impl UploadPlan {
    fn parse(request: SignUpload) -> ApiResult<Self> {
        let bucket = BucketName::parse(&request.bucket)?;
        let path = ObjectPath::new(&bucket, &request.path)?;
        if !media_type::is_media_type(&request.content_type) {
            return Err(ApiError::invalid("`contentType` is not a content type.")
                .with_hint("Write it as type/subtype, for example image/png or text/plain;charset=utf-8."));
        }
        if request.max_size.is_some_and(|max_size| max_size < 1) {
            return Err(ApiError::invalid("`maxSize` must be at least 1 byte."));
        }
        if request.size.is_some_and(|size| size < 0) {
            return Err(ApiError::invalid("`size` can't be negative."));
        }
        if let (Some(size), Some(max_size)) = (request.size, request.max_size)
            && size > max_size
        {
            return Err(too_large(size, max_size, "`maxSize` allows"));
        }
        if request.once && request.upsert {
            return Err(ApiError::invalid("`once` and `upsert` contradict each other.").with_hint("Send one of them."));
        }
        if request.once && request.mode != UploadMode::Put {
            return Err(ApiError::invalid("`once` works with the mode `put` alone."));
        }
        if request.part_size.is_some() && request.mode != UploadMode::Multipart {
            return Err(ApiError::invalid("`partSize` belongs to the mode `multipart`."));
        }
        let method = match request.mode {
            UploadMode::Put => Method::Put { once: request.once },
            UploadMode::Post => Method::Post,
            UploadMode::Multipart => {
                let size = request.size.filter(|size| *size > 0).ok_or_else(|| {
                    ApiError::invalid("The mode `multipart` needs `size`: the exact number of bytes, at least 1.")
                })?;
                Method::Multipart { size, part_size: part_size(size, request.part_size)? }
            }
        };
        if !matches!(method, Method::Multipart { .. }) && request.size.is_some_and(|size| size > MAX_SINGLE_BYTES) {
            return Err(ApiError::invalid("More than 5 GiB do not fit into one request.")
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

    /// Largest size that this upload may have.
    fn limit(&self, bucket: &BucketSettings) -> ApiResult<i64> {
        let wanted = self.max_size.max(self.size);
        match wanted {
            Some(wanted) if wanted > bucket.max_object_bytes => {
                Err(too_large(wanted, bucket.max_object_bytes, "the bucket allows"))
            }
            _ => Ok(self.size.or(self.max_size).unwrap_or(bucket.max_object_bytes)),
        }
    }
}

fn too_large(wanted: i64, limit: i64, whose: &str) -> ApiError {
    ApiError::new(Code::ObjectTooLarge, format!("{wanted} bytes are more than the {limit} bytes that {whose}."))
        .with_hint("Send a smaller `maxSize` or `size`, or raise the bucket's limit in the dashboard.")
}

/// Bytes of every part but the last. One that was asked for is taken or refused; else it grows with the object.
fn part_size(size: i64, asked: Option<i64>) -> ApiResult<i64> {
    let smallest = divide_up(size, MAX_PARTS);
    let part_size = match asked {
        Some(asked) if !(MIN_PART_BYTES..=MAX_PART_BYTES).contains(&asked) => {
            return Err(ApiError::invalid("`partSize` must be from 5242880 (5 MiB) to 5368709120 (5 GiB)."));
        }
        Some(asked) if asked < smallest => {
            return Err(ApiError::invalid(format!("With this `partSize` there would be more than {MAX_PARTS} parts."))
                .with_hint(format!("Send at least {smallest}, or leave it out.")));
        }
        Some(asked) => asked,
        None => divide_up(smallest, MIB).saturating_mul(MIB).max(DEFAULT_PART_BYTES),
    };
    if part_size > MAX_PART_BYTES {
        return Err(ApiError::invalid("An object can't be larger than 5 TiB."));
    }
    Ok(part_size)
}

/// Quotient of positive numbers, rounded up.
fn divide_up(dividend: i64, divisor: i64) -> i64 {
    dividend / divisor + i64::from(dividend % divisor != 0)
}

async fn sign_put(
    state: &StorageState,
    project: &ProjectRef,
    requester: &Requester,
    plan: &UploadPlan,
    max_size: i64,
    once: bool,
) -> ApiResult<SignedUpload> {
    record(state, project, requester, plan, max_size, None, URL_LIFE).await?;
    let conditions = PutConditions { content_type: &plan.content_type, content_length: plan.size, only_create: once };
    let signed = state.store.presign_put(&project.bucket(), plan.path.key(), conditions, URL_LIFE).await?;
    Ok(SignedUpload {
        object_key: plan.path.key().to_owned(),
        upload_url: signed.url,
        method: "PUT".to_owned(),
        headers: signed.headers,
        expires_in: URL_LIFE.as_secs(),
        fields: None,
        multipart: None,
    })
}

async fn sign_post(
    state: &StorageState,
    project: &ProjectRef,
    requester: &Requester,
    plan: &UploadPlan,
    max_size: i64,
) -> ApiResult<SignedUpload> {
    record(state, project, requester, plan, max_size, None, URL_LIFE).await?;
    let signed = state.store.presign_post(
        PostPolicy {
            bucket: &project.bucket(),
            key: plan.path.key(),
            content_type: &plan.content_type,
            length: (plan.size.unwrap_or(0), max_size),
            expires_in: URL_LIFE,
        },
        Utc::now(),
    );
    Ok(SignedUpload {
        object_key: plan.path.key().to_owned(),
        upload_url: signed.url,
        method: "POST".to_owned(),
        headers: BTreeMap::new(),
        expires_in: URL_LIFE.as_secs(),
        fields: Some(signed.fields),
        multipart: None,
    })
}

async fn sign_multipart(
    state: &StorageState,
    project: &ProjectRef,
    requester: &Requester,
    plan: &UploadPlan,
    max_size: i64,
    size: i64,
    part_size: i64,
) -> ApiResult<SignedUpload> {
    let (bucket, key) = (project.bucket(), plan.path.key());
    let upload_id = state.store.create_multipart(&bucket, key, &plan.content_type).await?;
    let prepared = async {
        record(state, project, requester, plan, max_size, Some(&upload_id), MULTIPART_LIFE).await?;
        let mut parts = Vec::with_capacity(divide_up(size, part_size) as usize);
        let mut left = size;
        for part_number in 1.. {
            let size = left.min(part_size);
            let signed = state.store.presign_part(&bucket, key, &upload_id, part_number, size, MULTIPART_LIFE).await?;
            parts.push(UploadPart { part_number, upload_url: signed.url, size });
            left -= size;
            if left == 0 {
                break;
            }
        }
        ApiResult::Ok(parts)
    };
    let parts = match prepared.await {
        Ok(parts) => parts,
        Err(error) => {
            // Else the cleanup does it, in a day.
            if let Err(error) = state.store.abort_multipart(&bucket, key, &upload_id).await {
                tracing::warn!(%error, object_key = key, "an upload that was not signed could not be aborted");
            }
            return Err(error);
        }
    };
    Ok(SignedUpload {
        object_key: key.to_owned(),
        upload_url: String::new(),
        method: "PUT".to_owned(),
        headers: BTreeMap::new(),
        expires_in: MULTIPART_LIFE.as_secs(),
        fields: None,
        multipart: Some(MultipartUpload { upload_id, part_size, parts }),
    })
}

async fn record(
    state: &StorageState,
    project: &ProjectRef,
    requester: &Requester,
    plan: &UploadPlan,
    max_size: i64,
    upload_id: Option<&str>,
    life: Duration,
) -> ApiResult<()> {
    let upload = queries::NewUpload {
        content_type: &plan.content_type,
        max_size,
        upload_id,
        uploaded_by: requester.label(),
        expires_in_seconds: life.as_secs() as i64,
    };
    if queries::record_upload(&state.platform, &project.id, &plan.path, upload).await? {
        return Ok(());
    }
    // The bucket was deleted since its settings were read.
    state.settings.forget(&project.id);
    Err(requester.authorize(None, Action::Upload).err().unwrap_or_else(|| ApiError::not_found("bucket")))
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
        }
    }

    #[test]
    fn what_can_not_be_right_is_refused() {
        type Case = (&'static str, fn(&mut SignUpload), Code);
        let refused: &[Case] = &[
            ("bucket", |r| r.bucket = "No".to_owned(), Code::InvalidRequest),
            ("no bucket", |r| r.bucket.clear(), Code::InvalidRequest),
            ("path", |r| r.path = "../x".to_owned(), Code::InvalidPath),
            ("content type", |r| r.content_type = "png".to_owned(), Code::InvalidRequest),
            ("maxSize 0", |r| r.max_size = Some(0), Code::InvalidRequest),
            ("size -1", |r| r.size = Some(-1), Code::InvalidRequest),
            ("size above maxSize", |r| (r.size, r.max_size) = (Some(11), Some(10)), Code::ObjectTooLarge),
            ("once and upsert", |r| (r.once, r.upsert) = (true, true), Code::InvalidRequest),
            ("once and post", |r| (r.once, r.mode) = (true, UploadMode::Post), Code::InvalidRequest),
            ("partSize and put", |r| r.part_size = Some(MIN_PART_BYTES), Code::InvalidRequest),
            ("multipart without size", |r| r.mode = UploadMode::Multipart, Code::InvalidRequest),
            ("multipart of nothing", |r| (r.mode, r.size) = (UploadMode::Multipart, Some(0)), Code::InvalidRequest),
            ("6 GiB in one put", |r| r.size = Some(6 * GIB), Code::InvalidRequest),
        ];
        for (case, change, code) in refused {
            let mut request = request();
            change(&mut request);
            assert_eq!(UploadPlan::parse(request).map_err(|error| error.code()), Err(*code), "{case}");
        }
        assert!(UploadPlan::parse(request()).is_ok());
    }

    #[test]
    fn limits() {
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
            assert_eq!(plan.limit(&bucket).ok(), limit, "{max_size:?} {size:?}");
        }
    }

    #[test]
    fn part_sizes() {
        for (size, asked, expected) in [
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
            assert_eq!(part_size(size, asked).ok(), expected, "{size} {asked:?}");
        }
    }
}
