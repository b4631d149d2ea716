//! Is what the store has what was signed for? Asked whenever an object is seen, since a store does not enforce
//! a largest size on a plain `PUT`.

use chrono::{DateTime, Duration, Utc};
use sqlx::PgPool;

use super::{
    path::ObjectPath,
    queries::{self, FileRow},
};
use crate::{
    error::ApiResult,
    object_store::{ObjectMeta, ObjectStore},
    projects::ProjectRef,
};

/// An upload that began while its URL worked may end this much later.
pub(super) const UPLOAD_GRACE: Duration = Duration::hours(24);

/// What was found of an object.
#[derive(Debug)]
pub(super) struct Seen {
    pub object: Option<ObjectMeta>,
    /// It was larger than its URL allowed; it is gone now.
    pub removed_oversize: Option<i64>,
}

/// What is to be done with an object that the store has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// As recorded.
    Known,
    /// New, and within what was signed for.
    Accept,
    /// Larger than what was signed for.
    Remove,
}

/// An object that was there when a URL was signed is recorded by size and etag, so that a smaller limit for its
/// replacement does not count for it. What arrived after anyone could have used the URL came by other means.
fn judge(row: Option<&FileRow>, object: &ObjectMeta) -> Verdict {
    let Some(row) = row else { return Verdict::Accept };
    if row.size == Some(object.size) && row.etag == object.etag {
        return Verdict::Known;
    }
    let uploaded_by_url = object.last_modified.is_none_or(|at: DateTime<Utc>| at <= row.expires_at + UPLOAD_GRACE);
    if object.size > row.max_size && uploaded_by_url { Verdict::Remove } else { Verdict::Accept }
}

/// Asks the store for an object, removes it where it is larger than was signed for, and records what stays.
pub(super) async fn look_at(
    platform: &PgPool,
    store: &ObjectStore,
    project: &ProjectRef,
    path: &ObjectPath,
) -> ApiResult<Seen> {
    let bucket = project.bucket();
    let (object, row) = tokio::join!(store.head(&bucket, path.key()), queries::file(platform, &project.id, path));
    let (object, row) = (object?, row?);
    settle(platform, store, &project.id, &bucket, path, row.as_ref(), object).await
}

/// As [`look_at`], where row and object were read already.
pub(super) async fn settle(
    platform: &PgPool,
    store: &ObjectStore,
    project: &str,
    store_bucket: &str,
    path: &ObjectPath,
    row: Option<&FileRow>,
    object: Option<ObjectMeta>,
) -> ApiResult<Seen> {
    let Some(object) = object else { return Ok(Seen { object: None, removed_oversize: None }) };
    match judge(row, &object) {
        Verdict::Known => {}
        Verdict::Accept => queries::record_stored(platform, project, path, &object).await?,
        Verdict::Remove => {
            store.delete(store_bucket, path.key()).await?;
            queries::delete_file(platform, project, path).await?;
            tracing::warn!(
                project,
                object_key = path.key(),
                size_bytes = object.size,
                max_size_bytes = row.map(|row| row.max_size),
                "an object larger than its upload was signed for was removed"
            );
            return Ok(Seen { object: None, removed_oversize: Some(object.size) });
        }
    }
    Ok(Seen { object: Some(object), removed_oversize: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let now = Utc::now();
        let row = |max_size, size, etag: &str| FileRow {
            state: "pending".to_owned(),
            max_size,
            size,
            etag: size.map(|_: i64| etag.to_owned()),
            upload_id: None,
            expires_at: now,
        };
        let object = |size, etag: &str, hours| ObjectMeta {
            size,
            etag: Some(etag.to_owned()),
            content_type: None,
            last_modified: Some(now + Duration::hours(hours)),
        };
        for (case, row, object, verdict) in [
            ("nothing was signed for", None, object(99, "a", 0), Verdict::Accept),
            ("the upload came, within its limit", Some(row(10, None, "")), object(10, "a", 0), Verdict::Accept),
            ("the upload came, too large", Some(row(10, None, "")), object(11, "a", 0), Verdict::Remove),
            ("seen before", Some(row(10, Some(10), "a")), object(10, "a", 0), Verdict::Known),
            (
                "there before a smaller limit was signed",
                Some(row(10, Some(99), "a")),
                object(99, "a", 0),
                Verdict::Known,
            ),
            ("replaced by one too large", Some(row(10, Some(5), "a")), object(11, "b", 0), Verdict::Remove),
            (
                "replaced by one of the same size, too large",
                Some(row(10, Some(99), "a")),
                object(99, "b", 0),
                Verdict::Remove,
            ),
            ("replaced within the limit", Some(row(10, Some(5), "a")), object(6, "b", 0), Verdict::Accept),
            ("a slow upload, too large", Some(row(10, None, "")), object(11, "a", 23), Verdict::Remove),
            ("replaced by other means, long after", Some(row(10, Some(5), "a")), object(11, "b", 25), Verdict::Accept),
        ] {
            assert_eq!(judge(row.as_ref(), &object), verdict, "{case}");
        }
    }
}
