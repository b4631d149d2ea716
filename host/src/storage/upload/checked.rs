//! An upload whose request was checked, and its record.

use std::time::Duration;

use uuid::Uuid;

use super::{
    super::{
        access::{Action, StorageAccess},
        open_uploads::{self, NewOpenUpload},
        records::{self, NewUpload},
    },
    plan::{PartLayout, UploadPlan},
};
use crate::error::{ApiError, ApiResult, Code};

/// Lifetime of the URL of a download, or of an upload in one request.
pub(crate) const URL_LIFETIME: Duration = Duration::from_secs(3600);
/// Lifetime of the URLs of a multipart upload. An upload of many gigabytes over a home connection can take a day.
pub(crate) const MULTIPART_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// An upload that the caller may make, ready to be recorded and then signed.
#[derive(Clone, Copy)]
pub(super) struct CheckedUpload<'a> {
    pub access: &'a StorageAccess,
    pub plan: &'a UploadPlan,
    /// Maximum size in bytes.
    pub max_size: i64,
}

impl CheckedUpload<'_> {
    /// Records an upload that is sent in one request. Must happen before signing, so that the limit of every valid URL
    /// is on record.
    /// Returns the key to sign: the object's own key for a trusted requester, otherwise the key of a staged object, so
    /// that a kept URL can never replace another object.
    pub(super) async fn record_single(&self) -> ApiResult<String> {
        let Self { access, plan, .. } = *self;
        if access.requester.is_trusted() {
            self.record(None, URL_LIFETIME).await?;
            return Ok(plan.path.key().to_owned());
        }
        let upload = self.open_upload(None, URL_LIFETIME);
        let opened = open_uploads::open_staged(&access.state, upload).await?;
        let id = opened.ok_or_else(|| self.bucket_deleted())?;
        Ok(open_uploads::staged_key(&plan.path, id))
    }

    /// Records a multipart upload before it is created in the store. Returns the id of the record.
    pub(super) async fn open_multipart(&self, layout: PartLayout) -> ApiResult<Uuid> {
        let upload = self.open_upload(Some(layout), MULTIPART_LIFETIME);
        let opened = open_uploads::open_multipart(&self.access.state, upload).await?;
        opened.ok_or_else(|| self.bucket_deleted())
    }

    /// Records an upload whose object is stored directly at its path, in `file_metadata`.
    pub(super) async fn record(&self, upload_id: Option<&str>, lifetime: Duration) -> ApiResult<()> {
        let Self { access, plan, max_size } = *self;
        let upload = NewUpload {
            content_type: &plan.content_type,
            max_size,
            upload_id,
            uploaded_by: access.requester.label(),
            is_trusted: access.requester.is_trusted(),
            lifetime,
        };
        let (platform, project_id) = (&access.state.platform, &access.project.id);
        if records::record_upload(platform, project_id, &plan.path, upload).await? {
            return Ok(());
        }
        match records::find_record(platform, project_id, &plan.path).await? {
            Some(record) if !upload.is_trusted && (0..max_size).contains(&record.max_size) => {
                Err(above_owners_limit(max_size, record.max_size))
            }
            _ => Err(self.bucket_deleted()),
        }
    }

    fn open_upload(&self, layout: Option<PartLayout>, lifetime: Duration) -> NewOpenUpload<'_> {
        let Self { access, plan, max_size } = *self;
        NewOpenUpload {
            project_id: &access.project.id,
            path: &plan.path,
            content_type: &plan.content_type,
            max_size,
            layout: layout.map(|layout| (layout.object_size, layout.part_size)),
            may_replace: plan.upsert,
            uploaded_by: access.requester.label(),
            quota_owner: access.quota_owner.as_deref(),
            lifetime,
        }
    }

    /// Returns the error for a bucket that was deleted after its settings were read.
    fn bucket_deleted(&self) -> ApiError {
        let access = self.access;
        access.state.bucket_settings.invalidate(&access.project.id);
        let error = access.requester.authorize(None, Action::Upload).err();
        error.unwrap_or_else(|| ApiError::not_found("bucket"))
    }
}

/// Returns the error for an upload to a path that the secret key limited to a smaller size.
fn above_owners_limit(requested: i64, limit: i64) -> ApiError {
    let message = format!(
        "{requested} bytes exceed the limit of {limit} bytes, which an upload to this path was signed for with the \
         secret key."
    );
    ApiError::new(Code::ObjectTooLarge, message).with_hint("Choose another path, or sign with the secret key.")
}
