//! The extractor for the bucket in the path of an admin request.

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use serde::Deserialize;

use super::{access::StorageAccess, state::StorageState};
use crate::{
    error::ApiError,
    http::ApiPath,
    projects::{AdminProject, ProjectRef, Projects},
};

/// Extracts the bucket that the path of an admin request names. Whether the bucket exists is not checked.
pub(crate) struct AdminBucket {
    pub(crate) state: StorageState,
    pub(crate) project: Arc<ProjectRef>,
    /// The name as it is in the path.
    pub(crate) name: String,
}

impl AdminBucket {
    /// Returns the owner's access to the bucket's objects.
    pub(super) fn into_access(self) -> StorageAccess {
        StorageAccess::admin(self.state, self.project, self.name)
    }
}

/// The segment `{bucket}` of the path; [`AdminProject`] reads `{project}`.
#[derive(Deserialize)]
struct BucketSegment {
    bucket: String,
}

impl<S> FromRequestParts<S> for AdminBucket
where
    S: Send + Sync,
    Projects: FromRef<S>,
    StorageState: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let AdminProject(project) = AdminProject::from_request_parts(parts, state).await?;
        let ApiPath(BucketSegment { bucket }) = ApiPath::from_request_parts(parts, state).await?;
        Ok(Self { state: StorageState::from_ref(state), project, name: bucket })
    }
}
