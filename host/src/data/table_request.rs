//! The extractors that the handlers of both surfaces share.

use axum::{
    body::Bytes,
    extract::{FromRef, FromRequest, FromRequestParts, RawQuery, Request},
    http::{StatusCode, header, request::Parts},
};
use serde::Deserialize;

use crate::{
    db::DbRole,
    error::{ApiError, ApiResult, Code},
    http::{ApiPath, Recipient},
    projects::{AdminProject, Caller},
};

use super::{DataService, Identity, RowsResponse};

/// A request for the rows of one table, from either surface.
pub(crate) struct TableRequest<C> {
    service: DataService,
    caller: C,
    table: String,
    /// The raw query string.
    query: String,
}

impl<C: RowsCaller> TableRequest<C> {
    pub(super) async fn read(&self) -> ApiResult<RowsResponse> {
        self.service.read(self.caller.identity(), &self.table, &self.query).await
    }

    pub(super) async fn insert(&self, body: &[u8]) -> ApiResult<RowsResponse> {
        self.service.insert(self.caller.identity(), &self.table, &self.query, body).await
    }

    pub(super) async fn update(&self, body: &[u8]) -> ApiResult<RowsResponse> {
        self.service.update(self.caller.identity(), &self.table, &self.query, body).await
    }

    pub(super) async fn delete(&self) -> ApiResult<RowsResponse> {
        self.service.delete(self.caller.identity(), &self.table, &self.query).await
    }
}

/// Who reads or writes rows on a surface.
pub(crate) trait RowsCaller {
    /// Returns the project and the role that the caller's statements run as.
    fn identity(&self) -> Identity<'_>;
}

impl RowsCaller for Caller {
    fn identity(&self) -> Identity<'_> {
        Identity {
            project: &self.project.id,
            role: self.db_role(),
            claims: self.user.as_ref().map(|user| user.json.as_str()),
            recipient: Recipient::Project(&self.project.id),
        }
    }
}

/// The owner: the role of the secret key, which bypasses row-level security.
impl RowsCaller for AdminProject {
    fn identity(&self) -> Identity<'_> {
        Identity { project: &self.0.id, role: DbRole::App, claims: None, recipient: Recipient::Owner }
    }
}

/// The part of the path that both surfaces have.
#[derive(Deserialize)]
struct TablePath {
    table: String,
}

impl<S, C> FromRequestParts<S> for TableRequest<C>
where
    S: Send + Sync,
    C: FromRequestParts<S, Rejection = ApiError> + Send,
    DataService: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = C::from_request_parts(parts, state).await?;
        let ApiPath(TablePath { table }) = ApiPath::from_request_parts(parts, state).await?;
        let Ok(RawQuery(query)) = RawQuery::from_request_parts(parts, state).await;
        Ok(Self { service: DataService::from_ref(state), caller, table, query: query.unwrap_or_default() })
    }
}

/// An unparsed JSON body, so that numbers keep every digit.
pub(crate) struct JsonBytes(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonBytes {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !has_json_content_type(&request) {
            return Err(ApiError::new(
                Code::UnsupportedMediaType,
                "Send the body with the header `content-type: application/json`.",
            ));
        }
        Bytes::from_request(request, state).await.map(Self).map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                ApiError::new(Code::BodyTooLarge, "The body is larger than this endpoint allows.")
            } else {
                ApiError::invalid(format!("Could not read the body: {}", rejection.body_text()))
            }
        })
    }
}

fn has_json_content_type(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| {
        let essence = value.split(';').next().unwrap_or("").trim();
        essence.eq_ignore_ascii_case("application/json")
    })
}
