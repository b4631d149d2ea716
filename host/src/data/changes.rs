//! Makes several changes to rows in one transaction.

use std::collections::HashMap;

use anyhow::Context as _;
use api_types::{ChangeEffect, ChangeOperation, ReferenceAction};
use axum::http::StatusCode;
use futures_util::TryStreamExt as _;
use serde_json::{Map, Value, json, value::RawValue};
use tokio_postgres::{Row, SimpleQueryMessage};

use super::{
    DataLimits,
    columns::json_column,
    diagnose,
    errors::{self, StatementContext},
    execute::{Executor, Identity},
    plan::{RowChangePlan, plan_read, plan_row_change},
    read_rows::ReadRows,
    render::{Rendered, render_delete, render_insert, render_read, render_update},
    request::{ChangeRequest, ChangesRequest, ReadRequest},
    respond::RowsResponse,
    schema::Schema,
};
use crate::{
    db::{DbError, ExclusiveClient, ProjectPools, RowSink as _, TextParam, is_row_too_large},
    error::{ApiError, ApiResult, Code},
    http::{ResponseBuffer, ResponseMemory},
};

/// Counts the rows that the transaction has changed in each table, including changes that an exception handler of a
/// function has undone. The last column is the `ON DELETE` action of a foreign key to another table from which rows
/// were deleted. The session must not have changed anything before.
const EFFECTS: &str = "
    WITH changed AS (
        SELECT relid, schemaname, relname, n_tup_ins, n_tup_upd, n_tup_del
        FROM pg_catalog.pg_stat_xact_user_tables WHERE n_tup_ins > 0 OR n_tup_upd > 0 OR n_tup_del > 0)
    SELECT c.schemaname, c.relname, c.n_tup_ins, c.n_tup_upd, c.n_tup_del, (
        SELECT k.confdeltype FROM pg_catalog.pg_constraint k
        WHERE k.contype = 'f' AND k.conrelid = c.relid AND k.confrelid <> c.relid
          AND k.confrelid IN (SELECT d.relid FROM changed d WHERE d.n_tup_del > 0)
        ORDER BY k.conname LIMIT 1)
    FROM changed c ORDER BY c.schemaname, c.relname";

/// The connection and the transaction of a request.
struct Transaction<'a> {
    client: ExclusiveClient,
    executor: Executor<'a>,
    schema: &'a Schema,
    table: &'a str,
    limits: &'a DataLimits,
    memory: &'a ResponseMemory,
    /// Prepared statements by their SQL.
    statements: HashMap<std::sync::Arc<str>, tokio_postgres::Statement>,
}

/// The parts of the service that a request needs.
#[derive(Clone, Copy)]
pub(super) struct Service<'a> {
    pub(super) pools: &'a ProjectPools,
    pub(super) limits: &'a DataLimits,
    pub(super) memory: &'a ResponseMemory,
}

/// Makes all changes, or none if one fails. With `dry_run`, undoes them afterwards.
pub(super) async fn change_rows(
    service: Service<'_>,
    identity: Identity<'_>,
    schema: &Schema,
    table: &str,
    request: &ChangesRequest<'_>,
) -> ApiResult<RowsResponse> {
    let numbered = |index: usize| move |error: ApiError| error.with_detail("change", index.into());
    let plan = |(index, change)| plan_row_change(schema, table, change).map_err(numbered(index));
    let plans = request.changes.iter().enumerate().map(plan).collect::<ApiResult<Vec<_>>>()?;
    let client = service.pools.exclusive(identity.project, identity.role).await?;
    let mut transaction = Transaction {
        client,
        executor: Executor { pools: service.pools, identity },
        schema,
        table,
        limits: service.limits,
        memory: service.memory,
        statements: HashMap::new(),
    };
    // If the client disconnects, the statement is cancelled and the transaction rolled back.
    transaction.client.mark_busy();
    transaction.run("BEGIN").await?;
    let mut body = service.memory.response(identity.recipient, 1024);
    body.push(format!("{{\"dryRun\":{},\"results\":[", request.dry_run).as_bytes())?;
    for (index, (change, plan)) in request.changes.iter().zip(&plans).enumerate() {
        let key = transaction.make(change, plan).await.map_err(numbered(index))?;
        push_result(&mut body, index, change.operation(), key.as_deref())?;
    }
    // Checks deferred constraints now, so that the effects of their triggers are counted.
    transaction.run("SET CONSTRAINTS ALL IMMEDIATE").await?;
    let effects = serde_json::to_string(&transaction.effects().await?).map_err(ApiError::internal)?;
    // The response is completed before the commit, so that the changes are undone if the response is too large.
    body.push(format!("],\"effects\":{effects}}}").as_bytes())?;
    transaction.run(if request.dry_run { "ROLLBACK" } else { "COMMIT" }).await?;
    transaction.client.mark_idle();
    Ok(RowsResponse { status: StatusCode::OK, body })
}

fn push_result(
    body: &mut ResponseBuffer,
    index: usize,
    operation: ChangeOperation,
    key: Option<&str>,
) -> ApiResult<()> {
    let comma = if index == 0 { "" } else { "," };
    let operation = match operation {
        ChangeOperation::Insert => "insert",
        ChangeOperation::Update => "update",
        ChangeOperation::Delete => "delete",
    };
    let key = key.unwrap_or("null");
    Ok(body.push(format!("{comma}{{\"op\":\"{operation}\",\"key\":{key}}}").as_bytes())?)
}

impl Transaction<'_> {
    /// Makes one change. Returns the primary key of its row as JSON, or `None` if the table has none or no row was
    /// written.
    async fn make(&mut self, change: &ChangeRequest<'_>, plan: &RowChangePlan<'_>) -> ApiResult<Option<String>> {
        let max_bytes = self.memory.max_response_bytes() as u64;
        let rendered = match plan {
            RowChangePlan::Insert(plan) => render_insert(plan, max_bytes),
            RowChangePlan::Update(plan) => render_update(plan, max_bytes),
            RowChangePlan::Delete(plan) => render_delete(plan, max_bytes),
        };
        let rows = match self.fetch(&rendered).await {
            Ok(rows) => rows,
            Err(error) => return Err(self.failure(change, plan, &rendered, error).await),
        };
        match rows.first() {
            Some(row) if has_key(plan) => Ok(json_column(row, 0).map_err(ApiError::internal)?.map(str::to_owned)),
            Some(_) => Ok(None),
            None => match change.read_of_present_values() {
                None => Ok(None),
                Some((was, read)) => Err(self.missing(was, &read).await?),
            },
        }
    }

    /// Returns the error for an update or delete that found no row.
    async fn missing(&mut self, was: &super::request::Row<'_>, read: &ReadRequest) -> ApiResult<ApiError> {
        let Some(present) = self.present_values(read).await? else {
            return Ok(ApiError::new(Code::RowChanged, "The row no longer exists. Nothing was changed.")
                .with_hint("Read the rows again.")
                .with_details(json!({ "reason": "gone" })));
        };
        if was.cells.is_empty() {
            return Ok(ApiError::new(
                Code::Unprocessable,
                "A trigger or rule skipped the change. Nothing was changed.",
            ));
        }
        let values: Map<String, Value> =
            was.cells.iter().map(|(name, value)| (name.clone().into_owned(), exact_value(value))).collect();
        Ok(ApiError::new(Code::RowChanged, "The row was changed since it was read. Nothing was changed.")
            .with_hint("Read the row again, and decide which values to keep.")
            .with_details(json!({ "reason": "changed", "was": values, "now": present })))
    }

    /// Returns the current values of a row, or `None` if it does not exist.
    async fn present_values(&mut self, request: &ReadRequest) -> ApiResult<Option<Map<String, Value>>> {
        let plan = plan_read(self.schema, self.table, request, self.limits)?;
        let rendered = render_read(&plan);
        let mut rows = ReadRows::new(&plan, self.memory.response(self.executor.identity.recipient, 512));
        for row in self.fetch(&rendered).await? {
            rows.add(row)?;
        }
        let mut json = rows.finish().map_err(ApiError::from)?.response.to_vec();
        json.extend_from_slice(b"]}");
        let page: HashMap<String, Vec<HashMap<String, Box<RawValue>>>> =
            serde_json::from_slice(&json).context("reading a row again").map_err(ApiError::internal)?;
        let row = page.into_values().flatten().next();
        Ok(row.map(|row| row.iter().map(|(name, value)| (name.clone(), exact_value(value))).collect()))
    }

    /// Returns how many rows the transaction has changed in each table, the request's table first.
    async fn effects(&self) -> ApiResult<Vec<ChangeEffect>> {
        let messages = self.client.simple_query(EFFECTS).await.map_err(DbError::Postgres)?;
        let mut effects: Vec<ChangeEffect> = messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            })
            .map(|row| {
                let text = |column: usize| row.get(column).unwrap_or_default().to_owned();
                let count = |column: usize| row.get(column).and_then(|text| text.parse().ok()).unwrap_or(0);
                let on_delete = row.get(5).map(|action| match action {
                    "r" => ReferenceAction::Restrict,
                    "c" => ReferenceAction::Cascade,
                    "n" => ReferenceAction::SetNull,
                    "d" => ReferenceAction::SetDefault,
                    _ => ReferenceAction::NoAction,
                });
                ChangeEffect {
                    schema: text(0),
                    table: text(1),
                    inserted: count(2),
                    updated: count(3),
                    deleted: count(4),
                    on_delete,
                }
            })
            .collect();
        effects.sort_by_key(|effect| effect.schema != "public" || effect.table != self.table);
        Ok(effects)
    }

    async fn failure(
        &self,
        change: &ChangeRequest<'_>,
        plan: &RowChangePlan<'_>,
        rendered: &Rendered<'_>,
        error: DbError,
    ) -> ApiError {
        let executor = self.executor;
        let invalid_value = match (plan, change) {
            (RowChangePlan::Insert(plan), ChangeRequest::Insert(request)) => {
                diagnose::invalid_insert_value(executor, &error, plan, request).await
            }
            (RowChangePlan::Update(plan), ChangeRequest::Update { request, .. }) => {
                diagnose::invalid_update_value(executor, &error, plan, request).await
            }
            _ => None,
        };
        match invalid_value {
            Some(invalid_value) => invalid_value.with_cause(error),
            None => self.api_error(rendered, error),
        }
    }

    fn api_error(&self, rendered: &Rendered<'_>, error: DbError) -> ApiError {
        let context = StatementContext {
            schema: self.schema,
            table: self.table,
            origins: &rendered.origins,
            audience: self.executor.identity.audience(),
            max_response_bytes: self.memory.max_response_bytes(),
        };
        errors::api_error(error, &context)
    }

    /// Runs a statement that controls the transaction.
    async fn run(&self, sql: &'static str) -> ApiResult<()> {
        let nothing = Rendered::fixed(sql);
        let result = self.client.batch_execute(sql).await;
        result.map_err(|error| self.api_error(&nothing, DbError::Postgres(error)))
    }

    async fn fetch(&mut self, rendered: &Rendered<'_>) -> Result<Vec<Row>, DbError> {
        let statement = &rendered.statement;
        let prepared = match self.statements.get(&statement.text) {
            Some(prepared) => prepared.clone(),
            None => {
                let prepared = self.client.prepare(&statement.text).await?;
                self.statements.insert(statement.text.clone(), prepared.clone());
                prepared
            }
        };
        let params: Vec<TextParam<'_>> = statement.params.iter().map(|param| TextParam(param.as_deref())).collect();
        let rows = self.client.query_raw(&prepared, params).await?;
        rows.try_collect().await.map_err(|error| match is_row_too_large(&error) {
            true => DbError::RowTooLarge,
            false => error.into(),
        })
    }
}

fn has_key(plan: &RowChangePlan<'_>) -> bool {
    use super::plan::WriteOutput;
    let output = match plan {
        RowChangePlan::Insert(plan) => &plan.output,
        RowChangePlan::Update(plan) => &plan.change.output,
        RowChangePlan::Delete(plan) => &plan.change.output,
    };
    matches!(output, WriteOutput::Rows(_))
}

/// Converts JSON to a value. A number that would be written differently becomes a string, so that no digit is lost.
/// Numbers within arrays and objects may lose digits.
fn exact_value(json: &RawValue) -> Value {
    match serde_json::from_str(json.get()) {
        Ok(Value::Number(number)) if number.to_string() != json.get() => Value::from(json.get()),
        Ok(value) => value,
        Err(_) => Value::from(json.get()),
    }
}
