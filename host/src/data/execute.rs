//! Fourth stage: the statement on the project's database, and the one retry after a change of the schema.

use std::sync::Arc;

use tokio_postgres::Row;

use crate::{
    db::{DbError, DbRole, ProjectPools, Statement},
    error::{ApiError, ApiResult, Code},
};

use super::{
    DataLimits, diagnose,
    errors::{self, Refused},
    plan::{plan_delete, plan_insert, plan_read, plan_update},
    render::{Rendered, render_delete, render_estimate, render_insert, render_read, render_update},
    request::{Count, DeleteRequest, InsertRequest, ReadRequest, UpdateRequest},
    respond::{self, JsonAnswer, WithoutRows},
    schema::{Evidence, Schema, SchemaCache},
};

/// Reads and writes of rows, on behalf of whoever a [`Identity`] says.
#[derive(Clone)]
pub struct DataService {
    pools: ProjectPools,
    schemas: Arc<SchemaCache>,
    limits: DataLimits,
}

/// As whom a statement runs.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    pub project: &'a str,
    pub role: DbRole,
    /// A signed-in user's claims as JSON.
    pub claims: Option<&'a str>,
}

/// Why an attempt ended, and whether a newer schema might change that.
struct Failure {
    error: ApiError,
    evidence: Option<Evidence>,
}

/// Of the plan: it may have met a name that is new.
impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let evidence = match error.code() {
            Code::UnknownTable | Code::UnknownColumn | Code::UnknownRelation | Code::Forbidden => {
                Some(Evidence::UnknownName)
            }
            _ => None,
        };
        Self { error, evidence }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(cause: anyhow::Error) -> Self {
        Self { error: ApiError::internal(cause), evidence: None }
    }
}

impl DataService {
    pub fn new(pools: ProjectPools, limits: DataLimits) -> Self {
        Self { schemas: Arc::new(SchemaCache::new(pools.clone())), pools, limits }
    }

    /// To be told when a project goes, or its database is swapped.
    pub fn schemas(&self) -> &SchemaCache {
        &self.schemas
    }

    /// What the role may see.
    pub async fn tables(&self, identity: Identity<'_>) -> ApiResult<api_types::Tables> {
        Ok(self.schemas.get(identity.project, identity.role).await?.describe())
    }

    /// `GET` of rows; `query` is the raw query string.
    pub async fn read(&self, identity: Identity<'_>, table: &str, query: &str) -> ApiResult<JsonAnswer> {
        let request = ReadRequest::parse(query)?;
        let mut schema = self.schemas.get(identity.project, identity.role).await?;
        let mut retried = false;
        loop {
            match self.try_read(identity, &schema, table, &request).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => schema = self.newer_schema(identity, &schema, failure, &mut retried).await?,
            }
        }
    }

    /// `POST` of rows.
    pub async fn insert(&self, identity: Identity<'_>, table: &str, query: &str, body: &[u8]) -> ApiResult<JsonAnswer> {
        let request = InsertRequest::parse(query, body, self.limits.max_insert_rows)?;
        let mut schema = self.schemas.get(identity.project, identity.role).await?;
        let mut retried = false;
        loop {
            match self.try_insert(identity, &schema, table, &request).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => schema = self.newer_schema(identity, &schema, failure, &mut retried).await?,
            }
        }
    }

    /// `PATCH` of rows.
    pub async fn update(&self, identity: Identity<'_>, table: &str, query: &str, body: &[u8]) -> ApiResult<JsonAnswer> {
        let request = UpdateRequest::parse(query, body)?;
        let mut schema = self.schemas.get(identity.project, identity.role).await?;
        let mut retried = false;
        loop {
            match self.try_update(identity, &schema, table, &request).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => schema = self.newer_schema(identity, &schema, failure, &mut retried).await?,
            }
        }
    }

    /// `DELETE` of rows.
    pub async fn delete(&self, identity: Identity<'_>, table: &str, query: &str) -> ApiResult<JsonAnswer> {
        let request = DeleteRequest::parse(query)?;
        let mut schema = self.schemas.get(identity.project, identity.role).await?;
        let mut retried = false;
        loop {
            match self.try_delete(identity, &schema, table, &request).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => schema = self.newer_schema(identity, &schema, failure, &mut retried).await?,
            }
        }
    }

    /// The schema to try again with, once; else the failure.
    async fn newer_schema(
        &self,
        identity: Identity<'_>,
        seen: &Schema,
        failure: Failure,
        retried: &mut bool,
    ) -> ApiResult<Arc<Schema>> {
        let Some(evidence) = failure.evidence.filter(|_| !*retried) else { return Err(failure.error) };
        *retried = true;
        match self.schemas.newer(identity.project, identity.role, seen, evidence).await? {
            Some(schema) => Ok(schema),
            None => Err(failure.error),
        }
    }

    async fn try_read(
        &self,
        identity: Identity<'_>,
        schema: &Schema,
        table: &str,
        request: &ReadRequest,
    ) -> Result<JsonAnswer, Failure> {
        let plan = plan_read(schema, table, request, &self.limits)?;
        let rendered = render_read(&plan);
        if plan.count != Count::Estimated {
            let rows = self.run(identity, schema, table, &rendered).await?;
            return Ok(respond::read_answer(&plan, &rows, None)?);
        }
        let estimate = render_estimate(&plan);
        let (rows, estimate) = tokio::try_join!(
            self.run(identity, schema, table, &rendered),
            self.run(identity, schema, table, &estimate)
        )?;
        Ok(respond::read_answer(&plan, &rows, Some(respond::estimated_rows(&estimate)?))?)
    }

    async fn try_insert(
        &self,
        identity: Identity<'_>,
        schema: &Schema,
        table: &str,
        request: &InsertRequest<'_>,
    ) -> Result<JsonAnswer, Failure> {
        let plan = plan_insert(schema, table, request)?;
        let rendered = render_insert(&plan);
        match self.fetch(identity, &rendered.statement).await {
            Ok(rows) => Ok(respond::insert_answer(&plan, &rows)?),
            Err(error) => {
                let named = if diagnose::is_unnamed_value(&error) {
                    self.find_bad_insert(identity, &plan, request).await
                } else {
                    None
                };
                Err(refusal(error, named, schema, table, &rendered))
            }
        }
    }

    async fn try_update(
        &self,
        identity: Identity<'_>,
        schema: &Schema,
        table: &str,
        request: &UpdateRequest<'_>,
    ) -> Result<JsonAnswer, Failure> {
        let plan = plan_update(schema, table, request)?;
        let rendered = render_update(&plan);
        match self.fetch(identity, &rendered.statement).await {
            Ok(rows) => Ok(respond::change_answer(&plan.target, &rows, WithoutRows::EmptyRows)?),
            Err(error) => {
                let named = if diagnose::is_unnamed_value(&error) {
                    self.find_bad_update(identity, &plan, request).await
                } else {
                    None
                };
                Err(refusal(error, named, schema, table, &rendered))
            }
        }
    }

    async fn try_delete(
        &self,
        identity: Identity<'_>,
        schema: &Schema,
        table: &str,
        request: &DeleteRequest,
    ) -> Result<JsonAnswer, Failure> {
        let plan = plan_delete(schema, table, request)?;
        let rows = self.run(identity, schema, table, &render_delete(&plan)).await?;
        Ok(respond::change_answer(&plan.target, &rows, WithoutRows::CountAlone)?)
    }

    async fn run(
        &self,
        identity: Identity<'_>,
        schema: &Schema,
        table: &str,
        rendered: &Rendered<'_>,
    ) -> Result<Vec<Row>, Failure> {
        self.fetch(identity, &rendered.statement).await.map_err(|error| refusal(error, None, schema, table, rendered))
    }

    pub(super) async fn fetch(&self, identity: Identity<'_>, statement: &Statement) -> Result<Vec<Row>, DbError> {
        match identity.claims {
            Some(claims) => self.pools.fetch_with_claims(identity.project, identity.role, claims, statement).await,
            None => self.pools.fetch(identity.project, identity.role, statement).await,
        }
    }
}

/// The answer for a refused statement; `named` says which column a value did not fit, where that was found out.
fn refusal(error: DbError, named: Option<ApiError>, schema: &Schema, table: &str, rendered: &Rendered<'_>) -> Failure {
    let evidence = errors::evidence(&error);
    let error = match named {
        Some(named) => named.with_cause(error),
        None => errors::api_error(error, &Refused { schema, table, origins: &rendered.origins }),
    };
    Failure { error, evidence }
}
