//! Takes a request through all stages: parse, plan, render, execute, respond.
//!
//! Planning uses a cached schema. If a request may have failed because the cached schema is outdated, it is planned and
//! executed once more with a newer schema.

use std::{future::Future, sync::Arc};

use axum::{Extension, http::StatusCode, response::Response};
use tokio_postgres::Row;

use crate::{
    db::{DbError, LookupKey, ProjectPools, RowSink},
    error::{ApiError, ApiResult, Code},
    http::{AuditDetails, NothingChanged, Recipient, ResponseBuffer, ResponseMemory},
};

use super::{
    DataLimits, cell, changes, diagnose,
    errors::{self, StatementContext},
    execute::{Executor, Identity},
    plan::{plan_delete, plan_insert, plan_read, plan_update},
    read_rows::ReadRows,
    render::{
        MAX_COUNTED_ROWS, Rendered, render_bounded_count, render_count, render_delete, render_estimate, render_insert,
        render_lookups, render_read, render_update,
    },
    request::{CellRequest, ChangesRequest, Count, DeleteRequest, InsertRequest, ReadRequest, UpdateRequest},
    respond::{self, EmptyOutput, RespondError, RowsResponse},
    schema::{self, RefreshReason, Schema, SchemaCache},
};

/// Parts of the response to several changes, for the audit log.
pub(super) type AuditParts = (Extension<AuditDetails>, Option<Extension<NothingChanged>>);

/// Reads and writes rows on behalf of an [`Identity`].
#[derive(Clone)]
pub struct DataService(Arc<Parts>);

/// The parts of the service, which each request would otherwise clone one by one.
struct Parts {
    pools: ProjectPools,
    schemas: SchemaCache,
    limits: DataLimits,
    memory: ResponseMemory,
}

impl DataService {
    pub fn new(pools: ProjectPools, limits: DataLimits, memory: ResponseMemory) -> Self {
        Self(Arc::new(Parts { schemas: SchemaCache::new(pools.clone()), pools, limits, memory }))
    }

    /// Returns the schema cache. Its entry for a project must be dropped when the project is deleted or its database
    /// replaced.
    pub fn schemas(&self) -> &SchemaCache {
        &self.0.schemas
    }

    /// Describes the tables that the role can access.
    ///
    /// # Errors
    /// Returns the errors of [`SchemaCache::get`].
    pub async fn tables(&self, identity: Identity<'_>) -> ApiResult<api_types::Tables> {
        Ok(self.0.schemas.get(identity.project, identity.role).await?.describe())
    }

    /// Handles a `GET` of the tables.
    ///
    /// # Errors
    /// Returns the errors of [`Self::tables`], and an error if the response is too large or there is no memory for it.
    pub async fn list_tables(&self, identity: Identity<'_>) -> ApiResult<RowsResponse> {
        let tables = serde_json::to_vec(&self.tables(identity).await?).map_err(ApiError::internal)?;
        let mut body = self.0.memory.response(identity.recipient, tables.len());
        body.push(&tables)?;
        Ok(RowsResponse { status: StatusCode::OK, body })
    }

    /// Handles a `GET` of all names in the database. `seen` is the value of `If-None-Match`. Returns the current entity
    /// tag, and no response if `seen` contains this tag.
    ///
    /// # Errors
    /// Returns the error of the queries, and an error if the response is too large or there is no memory for it.
    pub async fn list_names(&self, project: &str, seen: Option<&str>) -> ApiResult<(String, Option<RowsResponse>)> {
        // The tag is read before the names, so that they are at least as new as the tag.
        let entity_tag = format!("\"{}\"", schema::names_version(&self.0.pools, project).await?);
        if seen.is_some_and(|seen| has_entity_tag(seen, &entity_tag)) {
            return Ok((entity_tag, None));
        }
        let rows = schema::names(&self.0.pools, project).await?;
        let json: &str = match rows.first() {
            Some(row) => row.try_get(0).map_err(ApiError::internal)?,
            None => "{\"schemas\":[]}",
        };
        let mut body = self.0.memory.response(Recipient::Owner, json.len());
        body.push(json.as_bytes())?;
        Ok((entity_tag, Some(RowsResponse { status: StatusCode::OK, body })))
    }

    /// Handles a `GET` of rows from an app. `query` is the raw query string.
    ///
    /// # Errors
    /// Returns the errors of [`ReadRequest::parse`] and [`plan_read`], and the error of the statement or the response.
    pub async fn read(&self, identity: Identity<'_>, table: &str, query: &str) -> ApiResult<RowsResponse> {
        self.read_rows(identity, table, &ReadRequest::parse(query)?).await
    }

    /// Reads rows.
    ///
    /// # Errors
    /// Returns the errors of [`plan_read`], and the error of the statement or the response.
    pub(super) async fn read_rows(
        &self,
        identity: Identity<'_>,
        table: &str,
        request: &ReadRequest,
    ) -> ApiResult<RowsResponse> {
        let attempt =
            |schema| async move { read(&self.attempt(identity, table, schema), request, &self.0.limits).await };
        self.run_with_schema_retry(identity, attempt).await
    }

    /// Handles a `GET` of one value.
    ///
    /// # Errors
    /// Returns `not_found` if no row matches, and `invalid_request` if several rows match. Also returns the errors of
    /// [`CellRequest::parse`], of planning and of the statements.
    pub async fn get_cell(&self, identity: Identity<'_>, table: &str, query: &str) -> ApiResult<Response> {
        let request = &CellRequest::parse(query)?;
        let attempt = |schema: Arc<Schema>| async move {
            Ok::<_, Failure>(cell::get_cell(&self.0.pools, identity, &schema, table, request).await?)
        };
        self.run_with_schema_retry(identity, attempt).await
    }

    /// Handles a `POST` of several changes. Also returns parts of the response for the audit log.
    ///
    /// # Errors
    /// Returns `row_changed` if a row no longer exists or does not have the expected values. Also returns the errors of
    /// [`ChangesRequest::parse`], of planning, of the statements and of the response. The detail `change` is the index
    /// of the change, if a single change failed.
    pub async fn change(
        &self,
        identity: Identity<'_>,
        table: &str,
        body: &[u8],
    ) -> ApiResult<(AuditParts, RowsResponse)> {
        let request = &ChangesRequest::parse(body)?;
        let details = AuditDetails(serde_json::json!({ "changes": request.changes.len(), "dryRun": request.dry_run }));
        let audit = (Extension(details), request.dry_run.then_some(Extension(NothingChanged)));
        let service = changes::Service { pools: &self.0.pools, limits: &self.0.limits, memory: &self.0.memory };
        let attempt = |schema: Arc<Schema>| async move {
            Ok::<_, Failure>(changes::change_rows(service, identity, &schema, table, request).await?)
        };
        Ok((audit, self.run_with_schema_retry(identity, attempt).await?))
    }

    /// Handles a `POST` of rows.
    ///
    /// # Errors
    /// Returns the errors of [`InsertRequest::parse`] and [`plan_insert`], and the error of the statement or the
    /// response.
    pub async fn insert(
        &self,
        identity: Identity<'_>,
        table: &str,
        query: &str,
        body: &[u8],
    ) -> ApiResult<RowsResponse> {
        let request = &InsertRequest::parse(query, body, self.0.limits.max_insert_rows)?;
        let attempt = |schema| async move { insert(&self.attempt(identity, table, schema), request).await };
        self.run_with_schema_retry(identity, attempt).await
    }

    /// Handles a `PATCH` of rows.
    ///
    /// # Errors
    /// Returns the errors of [`UpdateRequest::parse`] and [`plan_update`], and the error of the statement or the
    /// response.
    pub async fn update(
        &self,
        identity: Identity<'_>,
        table: &str,
        query: &str,
        body: &[u8],
    ) -> ApiResult<RowsResponse> {
        let request = &UpdateRequest::parse(query, body)?;
        let attempt = |schema| async move { update(&self.attempt(identity, table, schema), request).await };
        self.run_with_schema_retry(identity, attempt).await
    }

    /// Handles a `DELETE` of rows.
    ///
    /// # Errors
    /// Returns the errors of [`DeleteRequest::parse`] and [`plan_delete`], and the error of the statement or the
    /// response.
    pub async fn delete(&self, identity: Identity<'_>, table: &str, query: &str) -> ApiResult<RowsResponse> {
        let request = &DeleteRequest::parse(query)?;
        let attempt = |schema| async move { delete(&self.attempt(identity, table, schema), request).await };
        self.run_with_schema_retry(identity, attempt).await
    }

    pub(super) fn attempt<'a>(&'a self, identity: Identity<'a>, table: &'a str, schema: Arc<Schema>) -> Attempt<'a> {
        Attempt { executor: Executor { pools: &self.0.pools, identity }, memory: &self.0.memory, table, schema }
    }

    /// Runs an attempt with the cached schema. If it fails in a way that a newer schema might fix, and a newer
    /// schema exists, retries once with it.
    pub(super) async fn run_with_schema_retry<T, F>(
        &self,
        identity: Identity<'_>,
        attempt: impl Fn(Arc<Schema>) -> F,
    ) -> ApiResult<T>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let schema = self.0.schemas.get(identity.project, identity.role).await?;
        let failure = match attempt(schema.clone()).await {
            Ok(response) => return Ok(response),
            Err(failure) => failure,
        };
        let Some(reason) = failure.refresh else { return Err(failure.error) };
        match self.0.schemas.newer(identity.project, identity.role, &schema, reason).await? {
            Some(newer) => attempt(newer).await.map_err(|failure| failure.error),
            None => Err(failure.error),
        }
    }
}

/// Returns whether the value of `If-None-Match` contains an entity tag (RFC 9110, 13.1.2).
fn has_entity_tag(header: &str, entity_tag: &str) -> bool {
    header.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == entity_tag)
}

/// The context of one attempt at a request.
pub(super) struct Attempt<'a> {
    executor: Executor<'a>,
    memory: &'a ResponseMemory,
    pub(super) table: &'a str,
    pub(super) schema: Arc<Schema>,
}

impl Attempt<'_> {
    /// Starts an empty response. `capacity` is the expected size.
    fn response(&self, capacity: usize) -> ResponseBuffer {
        self.memory.response(self.executor.identity.recipient, capacity)
    }

    /// Returns the maximum size of the rows that a write returns. The rest of the response is short.
    fn max_returned_bytes(&self) -> u64 {
        (self.memory.max_response_bytes() as u64).saturating_sub(1024)
    }
}

/// A failed attempt.
pub(super) struct Failure {
    pub(super) error: ApiError,
    /// Set if a newer schema might make the request succeed.
    pub(super) refresh: Option<RefreshReason>,
}

/// Converts an error of planning, or of a request for one value or for several changes. The failure requests a refresh
/// of the cached schema if that may lack a new name or grant.
impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let refresh = match error.code() {
            Code::UnknownTable | Code::UnknownColumn | Code::UnknownRelation | Code::Forbidden => {
                Some(RefreshReason::UnknownName)
            }
            _ => None,
        };
        Self { error, refresh }
    }
}

/// Converts the reason why a response can't be built.
impl From<RespondError> for Failure {
    fn from(error: RespondError) -> Self {
        Self { error: error.into(), refresh: None }
    }
}

async fn read(attempt: &Attempt<'_>, request: &ReadRequest, limits: &DataLimits) -> Result<RowsResponse, Failure> {
    let plan = plan_read(&attempt.schema, attempt.table, request, limits)?;
    let rendered = render_read(&plan);
    let mut rows = ReadRows::new(&plan, attempt.response(if plan.single { 512 } else { 8192 }));
    let (mut total, mut estimate) = (None, None);
    // The future of two statements is boxed, because most requests run only one and don't need its space.
    if plan.count == Count::Estimated {
        let explain = render_estimate(&plan);
        let both = async { tokio::try_join!(fetch_into(attempt, &rendered, &mut rows), fetch(attempt, &explain)) };
        let ((), explained) = Box::pin(both).await?;
        let expected = respond::estimate(&explained).map_err(RespondError::from)?;
        let mut counted = 0;
        if expected.is_cheap_to_count() {
            let count = render_bounded_count(&plan);
            let rows = Box::pin(fetch(attempt, &count)).await?;
            counted = respond::counted_rows(&rows).map_err(RespondError::from)?;
            total = Some(counted).filter(|counted| *counted <= MAX_COUNTED_ROWS);
        }
        estimate = total.is_none().then_some(expected.rows.max(counted));
    } else if plan.counts_separately() {
        let count = render_count(&plan);
        let both = async { tokio::try_join!(fetch_into(attempt, &rendered, &mut rows), fetch(attempt, &count)) };
        let ((), counted) = Box::pin(both).await?;
        total = Some(respond::counted_rows(&counted).map_err(RespondError::from)?);
    } else if plan.lookup {
        let shared = |keys: &[LookupKey]| render_lookups(&plan, keys);
        let result = attempt.executor.fetch_lookup(&rendered.statement, &shared, &mut rows).await;
        result.map_err(|error| statement_failure(attempt, &rendered, error, None))?;
    } else {
        fetch_into(attempt, &rendered, &mut rows).await?;
    }
    let mut page = rows.finish()?;
    page.total = page.total.or(total);
    Ok(respond::read_response(&plan, page, estimate)?)
}

async fn insert(attempt: &Attempt<'_>, request: &InsertRequest<'_>) -> Result<RowsResponse, Failure> {
    let plan = plan_insert(&attempt.schema, attempt.table, request)?;
    let rendered = render_insert(&plan, attempt.max_returned_bytes());
    // Only plain inserts can share transactions: most of them are short, and they return little more than was sent. A
    // deletion can cascade, and an upsert or update can return large values that the row had before.
    let result = match plan.conflict {
        None => attempt.executor.fetch_insert(&rendered.statement).await,
        Some(_) => attempt.executor.fetch(&rendered.statement).await,
    };
    match result {
        Ok(rows) => {
            let response = respond::insert_response(&plan, &rows, attempt.response(512));
            Ok(response.map_err(respond::unreported_write)?)
        }
        Err(error) => {
            let diagnosis = diagnose::invalid_insert_value(attempt.executor, &error, &plan, request);
            let invalid_value = Box::pin(diagnosis).await;
            Err(statement_failure(attempt, &rendered, error, invalid_value))
        }
    }
}

async fn update(attempt: &Attempt<'_>, request: &UpdateRequest<'_>) -> Result<RowsResponse, Failure> {
    let plan = plan_update(&attempt.schema, attempt.table, request)?;
    let rendered = render_update(&plan, attempt.max_returned_bytes());
    match attempt.executor.fetch(&rendered.statement).await {
        Ok(rows) => {
            let empty_output = EmptyOutput::EmptyRows;
            let response = respond::change_response(&plan.change, &rows, empty_output, attempt.response(512));
            Ok(response.map_err(respond::unreported_write)?)
        }
        Err(error) => {
            let diagnosis = diagnose::invalid_update_value(attempt.executor, &error, &plan, request);
            let invalid_value = Box::pin(diagnosis).await;
            Err(statement_failure(attempt, &rendered, error, invalid_value))
        }
    }
}

async fn delete(attempt: &Attempt<'_>, request: &DeleteRequest) -> Result<RowsResponse, Failure> {
    let plan = plan_delete(&attempt.schema, attempt.table, request)?;
    let rows = fetch(attempt, &render_delete(&plan, attempt.max_returned_bytes())).await?;
    let response = respond::change_response(&plan.change, &rows, EmptyOutput::CountOnly, attempt.response(512));
    Ok(response.map_err(respond::unreported_write)?)
}

pub(super) async fn fetch(attempt: &Attempt<'_>, rendered: &Rendered<'_>) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    fetch_into(attempt, rendered, &mut rows).await?;
    Ok(rows)
}

async fn fetch_into(attempt: &Attempt<'_>, rendered: &Rendered<'_>, rows: &mut dyn RowSink) -> Result<(), Failure> {
    let result = attempt.executor.fetch_into(&rendered.statement, rows).await;
    result.map_err(|error| statement_failure(attempt, rendered, error, None))
}

/// Returns the failure of a statement. `invalid_value` names the column of an invalid value, if it is known.
fn statement_failure(
    attempt: &Attempt<'_>,
    rendered: &Rendered<'_>,
    error: DbError,
    invalid_value: Option<ApiError>,
) -> Failure {
    let refresh = errors::refresh_reason(&error);
    let context = StatementContext {
        schema: &attempt.schema,
        table: attempt.table,
        origins: &rendered.origins,
        audience: attempt.executor.identity.audience(),
        max_response_bytes: attempt.memory.max_response_bytes(),
    };
    let error = match invalid_value {
        Some(invalid_value) => invalid_value.with_cause(error),
        None => errors::api_error(error, &context),
    };
    Failure { error, refresh }
}
