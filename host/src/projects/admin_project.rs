//! The extractor for the path segment `{project}` of the admin surface.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};

use super::{ProjectRef, Projects};
use crate::{error::ApiError, http::ApiPath};

/// Extracts the ready project that the path segment `{project}` names. Responds with 404 if there is none.
#[derive(Debug, Clone)]
pub struct AdminProject(pub Arc<ProjectRef>);

impl<S> FromRequestParts<S> for AdminProject
where
    S: Send + Sync,
    Projects: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let ApiPath(segments) = ApiPath::<HashMap<String, String>>::from_request_parts(parts, state).await?;
        let id = segments.get("project").ok_or_else(|| ApiError::not_found("project"))?;
        Ok(Self(Projects::from_ref(state).get(id).await?))
    }
}
