use std::time::Duration;

use super::{
    super::{
        access::{Action, StorageAccess},
        records::{self, NewUpload},
    },
    plan::UploadPlan,
};
use crate::error::{ApiError, ApiResult};

/// Lifetime of a URL for one request.
pub(crate) const URL_LIFETIME: Duration = Duration::from_secs(3600);
/// Lifetime of the URLs of a multipart upload. Many gigabytes over a home connection take a day.
pub(crate) const MULTIPART_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// An upload that the caller may make: the next steps are to record and to sign it.
#[derive(Clone, Copy)]
pub(super) struct CheckedUpload<'a> {
    pub access: &'a StorageAccess,
    pub plan: &'a UploadPlan,
    /// Maximum size in bytes.
    pub max_size: i64,
}

impl CheckedUpload<'_> {
    /// Records the upload. Must happen before signing, so that the limit of every valid URL is on record.
    pub(super) async fn record(&self, upload_id: Option<&str>, lifetime: Duration) -> ApiResult<()> {
        let Self { access, plan, max_size } = *self;
        let (state, project_id) = (&access.state, access.project.id.as_str());
        let upload = NewUpload {
            content_type: &plan.content_type,
            max_size,
            upload_id,
            uploaded_by: access.requester.label(),
            lifetime,
        };
        if records::record_upload(&state.platform, project_id, &plan.path, upload).await? {
            return Ok(());
        }
        // The bucket was deleted after its settings were read.
        state.bucket_settings.invalidate(project_id);
        let error = access.requester.authorize(None, Action::Upload).err();
        Err(error.unwrap_or_else(|| ApiError::not_found("bucket")))
    }
}
