//! The extractor that the handlers of both surfaces share, and the identities of their callers.

use axum::{
    extract::{FromRef, FromRequestParts, RawQuery},
    http::request::Parts,
};
use serde::Deserialize;

use crate::{
    db::DbRole,
    error::{ApiError, ApiResult},
    http::{ApiPath, Recipient},
    projects::{AdminProject, Caller, ClaimsOfUser},
};

use super::{
    DataService, Identity, RowsResponse,
    message::shortened,
    pipeline::AuditParts,
    request::{ReadRequest, Viewer},
};

/// A request for the rows of one table, from either surface.
pub(crate) struct TableRequest<C> {
    service: DataService,
    caller: C,
    table: String,
    /// The raw query string.
    query: String,
}

impl<C: RowsCaller> TableRequest<C> {
    pub(super) fn new(service: DataService, caller: C, table: String, query: String) -> Self {
        Self { service, caller, table, query }
    }

    pub(super) fn table(&self) -> &str {
        &self.table
    }

    pub(super) async fn get_cell(&self) -> ApiResult<axum::response::Response> {
        self.service.get_cell(self.caller.identity(), &self.table, &self.query).await
    }

    pub(super) async fn change(&self, body: &[u8]) -> ApiResult<(AuditParts, RowsResponse)> {
        if let Some(name) = self.query.split(['=', '&']).next().filter(|name| !name.is_empty()) {
            return Err(ApiError::invalid(format!("Unknown parameter `{}`.", shortened(name))));
        }
        self.service.change(self.caller.identity(), &self.table, body).await
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

impl TableRequest<Caller> {
    pub(super) async fn read(&self) -> ApiResult<RowsResponse> {
        self.service.read(self.caller.identity(), &self.table, &self.query).await
    }
}

impl TableRequest<AdminProject> {
    /// Reads rows as the owner, or as the caller that the parameter `as` names: with the role and the claims that the
    /// caller has on the public surface. `claims` makes the claims of a user.
    pub(super) async fn read(&self, claims: &dyn ClaimsOfUser) -> ApiResult<RowsResponse> {
        let (request, viewer) = ReadRequest::parse_for_owner(&self.query)?;
        let owner = self.caller.identity();
        let user = match viewer {
            Some(Viewer::User(id)) => Some(claims.claims_of_user(owner.project, id).await?),
            Some(Viewer::Publishable) | None => None,
        };
        let role = match viewer {
            Some(Viewer::User(_)) => DbRole::User,
            Some(Viewer::Publishable) => DbRole::Anon,
            None => owner.role,
        };
        let identity = Identity { role, claims: user.as_ref().map(|user| user.json.as_str()), ..owner };
        self.service.read_rows(identity, &self.table, &request).await
    }
}

/// A caller that reads or writes rows on a surface.
pub(crate) trait RowsCaller {
    /// Returns the project, and the role and the claims that the caller's statements run with.
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

/// The part of the path that both surfaces share.
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
