//! Lists buckets and signs URLs for plugins. A plugin with the grant has the permissions of the secret key.

use std::sync::Arc;

use api_types::{Bucket, SignDownload, SignUpload, SignedDownload, SignedUpload};

use super::{access::StorageAccess, buckets, download, state::StorageState, upload};
use crate::{error::ApiResult, projects::ProjectRef};

impl StorageState {
    /// Returns the first `limit` buckets of a project, in the order of their names.
    ///
    /// # Errors
    /// Fails if the platform database is unavailable.
    pub async fn buckets_for_plugin(&self, project_id: &str, limit: u32) -> ApiResult<Vec<Bucket>> {
        buckets::first_buckets(self, project_id, limit).await
    }

    /// Signs a download for a plugin.
    ///
    /// # Errors
    /// Returns 400 for an invalid key or file name, and 404 if the bucket or the object does not exist.
    pub async fn sign_download_for_plugin(
        &self,
        project: Arc<ProjectRef>,
        plugin: &str,
        request: SignDownload,
    ) -> ApiResult<SignedDownload> {
        download::sign_download(&StorageAccess::plugin(self.clone(), project, plugin), request).await
    }

    /// Signs an upload for a plugin.
    ///
    /// # Errors
    /// Returns 400 for an invalid request, 404 if the bucket does not exist, 409 if the object exists and the request
    /// does not ask to replace it, and 413 if a size exceeds the bucket's maximum.
    pub async fn sign_upload_for_plugin(
        &self,
        project: Arc<ProjectRef>,
        plugin: &str,
        request: SignUpload,
    ) -> ApiResult<SignedUpload> {
        upload::sign_upload(&StorageAccess::plugin(self.clone(), project, plugin), request).await
    }
}
